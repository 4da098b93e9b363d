/**
 * Loops by blocks of rows. Where every kernel of a loop works row by row, the loop is run to its end for one block of rows
 * after another: what it touches stays in the cache, weights are read once per block, and a while in it stops as soon as
 * its own rows have. Rows are axis 0 of every kernel.
 */
import type { Access, LoopCounter } from "./access.ts";
import { type ProgramBuffer, visitExpression } from "./expression.ts";
import {
  expressionsOf,
  type ForLoop,
  isKernel,
  type Kernel,
  type Program,
  readBy,
  type Step,
  visitSteps,
  writtenBy,
} from "./program.ts";
import { inBlock, type Rows, rowsOf, sameRows } from "./row-blocks.ts";

/** Rows per block: enough for the register tiles of a contraction, few enough that some dozen rows of each value fit in L1. */
const BLOCK: BlockLimits = { least: 8, most: 24 };

export interface BlockLimits {
  readonly least: number;
  readonly most: number;
}

export interface BlockOptions {
  /** Rows of a block, a divisor of all rows; null leaves the loop as it is. */
  readonly size: (rows: number, kernels: readonly Kernel[]) => number | null;
  /** Whether a while that stands in no loop is blocked too: then it ends for each block by itself. */
  readonly whiles: boolean;
}

export function blockRows(program: Program, options: BlockOptions = blocksWithin(BLOCK)): Program {
  const local = buffersOfOneStep(program);
  const shrunk = new Map<ProgramBuffer, ProgramBuffer>();
  const steps = program.steps.map((step) => {
    const isBlocked = step.kind === "while" ? options.whiles : step.kind === "for" && step.locals === null;
    return isBlocked && !isKernel(step) ? (blocked(step, local, shrunk, options) ?? step) : step;
  });
  return { ...program, steps, temporaries: program.temporaries.map((buffer) => shrunk.get(buffer) ?? buffer) };
}

/** Blocks of scans, of so many rows. */
export function blocksWithin(limits: BlockLimits): BlockOptions {
  return { size: (rows) => blockSize(rows, limits), whiles: false };
}

/** The number of rows that divides all of them and is closest to the middle of the limits; null if none does. */
function blockSize(rows: number, { least, most }: BlockLimits): number | null {
  const middle = (least + most) / 2;
  let best: number | null = null;
  for (let size = least; size <= Math.min(most, rows - 1); size++) {
    if (rows % size === 0 && (best === null || Math.abs(size - middle) < Math.abs(best - middle))) best = size;
  }
  return best;
}

/** Temporaries that a single top-level step touches, and so nobody outside sees; counts of iterations are reported. */
function buffersOfOneStep(program: Program): ReadonlyMap<ProgramBuffer, Step> {
  const owner = new Map<ProgramBuffer, Step | null>();
  for (const top of program.steps) {
    if (top.kind === "while") owner.set(top.steps, null);
    visitSteps([top], (step) => {
      const touched = isKernel(step) ? [...readBy(step), ...writtenBy(step)] : [];
      if (step.kind === "while") touched.push(step.flag, step.steps);
      for (const buffer of touched) {
        const known = owner.get(buffer);
        owner.set(buffer, known === undefined || known === top ? top : null);
      }
    });
  }
  const single = new Map<ProgramBuffer, Step>();
  for (const buffer of program.temporaries) {
    const step = owner.get(buffer);
    if (step !== undefined && step !== null) single.set(buffer, step);
  }
  return single;
}

/** The loop inside a loop over blocks of rows, or null where a kernel does not work row by row. */
function blocked(
  loop: Exclude<Step, Kernel>,
  local: ReadonlyMap<ProgramBuffer, Step>,
  shrunk: Map<ProgramBuffer, ProgramBuffer>,
  options: BlockOptions,
): ForLoop | null {
  const kernels: Kernel[] = [];
  const flags = new Set<ProgramBuffer>();
  visitSteps([loop], (step) => {
    if (isKernel(step)) kernels.push(step);
    if (step.kind === "while") flags.add(step.flag);
  });
  const rows = kernels[0]?.shape[0];
  if (rows === undefined) return null;
  const size = options.size(rows, kernels);
  if (size === null) return null;
  const buffers = rowBuffers(kernels, rows, flags);
  if (buffers === null) return null;
  // Blocks may run at once: a flag tells about one of them.
  const locals = [...flags];
  for (const [buffer, found] of buffers) {
    if (local.get(buffer) === loop && found !== null && buffer.size === rows * found.stride) {
      const small = { ...buffer, size: size * found.stride };
      shrunk.set(buffer, small);
      locals.push(small);
    }
  }
  const counter: LoopCounter = { name: `rows of ${loop.kind === "for" ? loop.counter.name : loop.flag.name}` };
  const body = [inBlock(loop, { counter, size, shrunk })];
  return { kind: "for", counter, length: rows / size, reverse: false, body, locals };
}

/** The rows of every buffer that the kernels touch, null where all rows share it; or null if some kernel mixes rows. */
function rowBuffers(
  kernels: readonly Kernel[],
  rows: number,
  flags: ReadonlySet<ProgramBuffer>,
): ReadonlyMap<ProgramBuffer, Rows | null> | null {
  const found = new Map<ProgramBuffer, Rows | null>();
  const written = new Set(kernels.flatMap(writtenBy));
  const mixed: ProgramBuffer[] = [];
  const see = (buffer: ProgramBuffer, access: Access, sizes: readonly number[]): void => {
    const here = rowsOf(access, sizes);
    const known = found.get(buffer);
    found.set(buffer, here);
    // Within a row, an access must stay in that row, and what is written have its rows in one place for all; what all rows
    // share must not be written.
    const fits = here === null ? access.strides[0] === 0 && !written.has(buffer) : true;
    const agrees =
      known === undefined || (written.has(buffer) ? sameRows(known, here) : known?.stride === here?.stride);
    if (!fits || !agrees) mixed.push(buffer);
  };
  for (const kernel of kernels) {
    const sizes = spaceOf(kernel, flags);
    if (sizes?.[0] !== rows || kernel.kind === "scatter") return null;
    if (kernel.kind === "recur" && kernel.axis === 0) return null;
    for (const root of expressionsOf(kernel)) {
      visitExpression(root, (node) => {
        if (node.kind === "read") see(node.buffer, node.access, sizes);
        if (node.kind === "gather" && (node.access.strides[0] !== 0 || written.has(node.buffer)))
          mixed.push(node.buffer);
      });
    }
    for (const { buffer, access } of kernel.stores) if (!flags.has(buffer)) see(buffer, access, sizes);
  }
  return mixed.length === 0 ? found : null;
}

/** Sizes of all axes that a kernel's expressions run over, rows first; null if rows are combined. */
function spaceOf(kernel: Kernel, flags: ReadonlySet<ProgramBuffer>): readonly number[] | null {
  switch (kernel.kind) {
    case "reduce": {
      // The flag of a while is whether any row is active: of a block, any of its rows.
      if (kernel.shape.length > 0) return [...kernel.shape, ...kernel.reduced];
      return kernel.stores.every(({ buffer }) => flags.has(buffer)) ? kernel.reduced : null;
    }
    case "contract":
      return [...kernel.shape, ...kernel.k];
    default:
      return kernel.shape;
  }
}
