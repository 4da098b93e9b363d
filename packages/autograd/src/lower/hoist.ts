/** Work that is the same in every iteration of a loop, done once before it. */
import type { Access, LoopCounter } from "./access.ts";
import { type ProgramBuffer, visitExpression } from "./expression.ts";
import {
  expressionsOf,
  isKernel,
  type Kernel,
  type Program,
  readBy,
  type Step,
  visitSteps,
  writtenBy,
} from "./program.ts";

/**
 * Moves kernels out of loops, from the inside outwards, where they read nothing that the loop writes and are the only ones
 * in it that write what they write. Nothing outside the loop may see that: then a loop that is never run has them done in
 * vain, and with no other effect.
 */
export function hoistInvariants(program: Program): Program {
  const touches = touchesIn(program.steps);
  // Who has the results touches them.
  for (const output of program.outputs) touches.set(output, (touches.get(output) ?? 0) + 1);
  return { ...program, steps: program.steps.flatMap((step) => hoisted(step, touches)) };
}

/** How many times steps, and those in them, touch each buffer. */
function touchesIn(steps: readonly Step[]): Map<ProgramBuffer, number> {
  const touches = new Map<ProgramBuffer, number>();
  visitSteps(steps, (step) => {
    const touched = isKernel(step)
      ? [...readBy(step), ...writtenBy(step)]
      : step.kind === "while"
        ? [step.flag, step.steps]
        : [];
    for (const buffer of touched) touches.set(buffer, (touches.get(buffer) ?? 0) + 1);
  });
  return touches;
}

/**
 * A step, and before it what needs not be in it.
 * @param everywhere touches of each buffer in the whole program
 */
function hoisted(step: Step, everywhere: ReadonlyMap<ProgramBuffer, number>): readonly Step[] {
  if (isKernel(step)) return [step];
  const inside = (steps: readonly Step[]): readonly Step[] => steps.flatMap((inner) => hoisted(inner, everywhere));
  const loop =
    step.kind === "for"
      ? { ...step, body: inside(step.body) }
      : { ...step, test: inside(step.test), body: inside(step.body) };
  /** How many steps of the loop write each buffer. */
  const writers = new Map<ProgramBuffer, number>();
  const wrote = (buffer: ProgramBuffer): void => void writers.set(buffer, (writers.get(buffer) ?? 0) + 1);
  visitSteps([loop], (inner) => {
    if (isKernel(inner)) writtenBy(inner).forEach(wrote);
    // Flags and counts belong to their loops.
    else if (inner.kind === "while") [inner.flag, inner.flag, inner.steps, inner.steps].forEach(wrote);
  });
  const here = touchesIn([loop]);
  const isSeenOutside = (buffer: ProgramBuffer): boolean => here.get(buffer) !== everywhere.get(buffer);
  const moved: Kernel[] = [];
  /** What was read on the way: a value of the iteration before, if it is written later. */
  const read = new Set<ProgramBuffer>();
  const counter = loop.kind === "for" ? loop.counter : null;
  const stay = (steps: readonly Step[]): readonly Step[] =>
    steps.filter((inner) => {
      const mayMove = isKernel(inner) && !writtenBy(inner).some(isSeenOutside);
      if (mayMove && isInvariant(inner, writers, read, counter)) {
        moved.push(inner);
        for (const buffer of writtenBy(inner)) writers.delete(buffer);
        return false;
      }
      visitSteps([inner], (kernel) => {
        if (isKernel(kernel)) for (const buffer of readBy(kernel)) read.add(buffer);
      });
      return true;
    });
  const rest =
    loop.kind === "for"
      ? { ...loop, body: stay(loop.body) }
      : { ...loop, test: stay(loop.test), body: stay(loop.body) };
  return [...moved, rest];
}

function isInvariant(
  kernel: Kernel,
  writers: ReadonlyMap<ProgramBuffer, number>,
  readBefore: ReadonlySet<ProgramBuffer>,
  counter: LoopCounter | null,
): boolean {
  // It adds to what is there.
  if (kernel.kind === "scatter") return false;
  if (writtenBy(kernel).some((buffer) => writers.get(buffer) !== 1 || readBefore.has(buffer))) return false;
  for (const buffer of readBy(kernel)) if (writers.has(buffer)) return false;
  return counter === null || !moves(kernel, counter);
}

/** Whether a kernel does something else in each iteration of a loop. */
function moves(kernel: Kernel, counter: LoopCounter): boolean {
  let found = false;
  const see = ({ loops }: Access): void => {
    found ||= loops.some((loop) => loop.counter === counter);
  };
  for (const root of expressionsOf(kernel)) {
    visitExpression(root, (node) => {
      if (node.kind === "read" || node.kind === "index" || node.kind === "gather") see(node.access);
      if (node.kind === "bits") see(node.counter);
    });
  }
  if (kernel.kind !== "scatter") for (const { access } of kernel.stores) see(access);
  return found;
}
