/** The static memory plan: every temporary gets a place in one arena, shared by those that are never live together. */
import { byteLengthOf, type DType } from "../ir/tensor-type.ts";
import type { ProgramBuffer } from "./expression.ts";
import { isKernel, type Program, readBy, type Step, visitSteps, writtenBy } from "./program.ts";

/** Places in an arena. */
export interface Places {
  /** Byte offset of each temporary in the arena. */
  readonly offsets: ReadonlyMap<ProgramBuffer, number>;
  readonly bytes: number;
}

export interface MemoryPlan extends Places {
  /** The locals of loops, in an arena that everybody who runs iterations at the same time has for himself. */
  readonly local: Places;
}

export interface PlanOptions {
  /** What an element takes; default the bytes of its dtype. */
  readonly elementBytes?: (dtype: DType) => number;
  /** Memory comes in slabs of so many bytes, a multiple of the alignment: nothing lies across the end of one. */
  readonly slabBytes?: number;
}

interface Interval {
  first: number;
  last: number;
}

/**
 * First fit over live intervals. `alignment` in bytes: 16 for WASM, 256 for WebGPU. What is larger than a slab begins at
 * the start of one.
 */
export function planMemory(program: Program, alignment: number, options: PlanOptions = {}): MemoryPlan {
  const { elementBytes = (dtype) => byteLengthOf({ dtype, shape: [] }), slabBytes = Infinity } = options;
  const bytesOf = ({ dtype, size }: ProgramBuffer): number =>
    Math.ceil((size * elementBytes(dtype)) / alignment) * alignment;
  /** The first place from `offset` on. */
  const fit = (offset: number, bytes: number): number => {
    const start = slabBytes === Infinity ? 0 : Math.floor(offset / slabBytes) * slabBytes;
    return offset === start || offset + bytes <= start + slabBytes ? offset : start + slabBytes;
  };
  const intervals = liveIntervals(program);
  const locals = new Set<ProgramBuffer>();
  visitSteps(program.steps, (step) => {
    if (step.kind === "for") step.locals?.forEach((buffer) => locals.add(buffer));
  });
  const shared = program.temporaries.filter((buffer) => !locals.has(buffer));
  const place = (buffers: readonly ProgramBuffer[]): Places => placeAll(buffers, intervals, bytesOf, fit);
  return { ...place(shared), local: place([...locals]) };
}

export interface LocalOptions {
  readonly alignment: number;
  readonly elementBytes: (dtype: DType) => number;
  /** Bytes of the memory that is near. */
  readonly nearBytes: number;
}

/** Some locals of a loop in memory that is near and scarce, the smallest first, and the others elsewhere. */
export function planLocals(
  program: Program,
  locals: readonly ProgramBuffer[],
  { alignment, elementBytes, nearBytes }: LocalOptions,
): { readonly near: Places; readonly far: Places } {
  const intervals = liveIntervals(program);
  const bytesOf = ({ dtype, size }: ProgramBuffer): number =>
    Math.ceil((size * elementBytes(dtype)) / alignment) * alignment;
  const place = (buffers: readonly ProgramBuffer[]): Places =>
    placeAll(buffers, intervals, bytesOf, (offset) => offset);
  let near = place(locals);
  if (near.bytes <= nearBytes) return { near, far: place([]) };
  const far: ProgramBuffer[] = [];
  const chosen: ProgramBuffer[] = [];
  near = place([]);
  for (const buffer of [...locals].sort((a, b) => bytesOf(a) - bytesOf(b))) {
    const tried = place([...chosen, buffer]);
    if (tried.bytes > nearBytes) far.push(buffer);
    else {
      chosen.push(buffer);
      near = tried;
    }
  }
  return { near, far: place(far) };
}

function placeAll(
  buffers: readonly ProgramBuffer[],
  intervals: ReadonlyMap<ProgramBuffer, Interval>,
  bytesOf: (buffer: ProgramBuffer) => number,
  fit: (offset: number, bytes: number) => number,
): Places {
  const sized = buffers
    .flatMap((buffer) => {
      const interval = intervals.get(buffer);
      return interval === undefined ? [] : [{ buffer, interval, bytes: bytesOf(buffer) }];
    })
    // Large ones first leave fewer holes.
    .sort((a, b) => b.bytes - a.bytes);
  /** By offset. */
  const placed: { readonly interval: Interval; readonly offset: number; readonly bytes: number }[] = [];
  const offsets = new Map<ProgramBuffer, number>();
  let total = 0;
  for (const { buffer, interval, bytes } of sized) {
    let offset = 0;
    for (const rival of placed) {
      if (!overlap(rival.interval, interval)) continue;
      if (rival.offset - offset >= bytes) break;
      offset = fit(Math.max(offset, rival.offset + rival.bytes), bytes);
    }
    const after = placed.findIndex((other) => other.offset > offset);
    placed.splice(after === -1 ? placed.length : after, 0, { interval, offset, bytes });
    offsets.set(buffer, offset);
    total = Math.max(total, offset + bytes);
  }
  return { offsets, bytes: total };
}

function overlap(a: Interval, b: Interval): boolean {
  return a.first <= b.last && b.first <= a.last;
}

interface LoopInterval extends Interval {
  /** Null if iterations follow each other. */
  readonly locals: readonly ProgramBuffer[] | null;
}

/**
 * From the first to the last step that touches each buffer, in the order of the text. A buffer that is touched both in a
 * loop and outside it lives through all of the loop: what an iteration finds or leaves there belongs to the others too. So
 * does whatever is not local to a loop whose iterations run at once. Counts of iterations that are reported live to the end.
 */
function liveIntervals(program: Program): ReadonlyMap<ProgramBuffer, Interval> {
  const intervals = new Map<ProgramBuffer, Interval>();
  const loops: LoopInterval[] = [];
  const reported: ProgramBuffer[] = [];
  let position = 0;
  const touch = (buffer: ProgramBuffer, at: number): void => {
    const interval = intervals.get(buffer);
    if (interval === undefined) intervals.set(buffer, { first: at, last: at });
    else interval.last = at;
  };
  const visit = (step: Step, isOutermost: boolean): void => {
    const start = position++;
    if (isKernel(step)) {
      for (const buffer of [...readBy(step), ...writtenBy(step)]) touch(buffer, start);
      return;
    }
    if (step.kind === "while") for (const buffer of [step.flag, step.steps]) touch(buffer, start);
    const inside = step.kind === "while" ? [...step.test, ...step.body] : step.body;
    const divided = step.kind === "for" && step.locals !== null;
    for (const inner of inside) visit(inner, isOutermost && divided);
    const end = position++;
    if (step.kind === "while") for (const buffer of [step.flag, step.steps]) touch(buffer, end);
    if (step.kind === "while" && isOutermost) reported.push(step.steps);
    loops.push({ first: start, last: end, locals: step.kind === "for" ? step.locals : null });
  };
  for (const step of program.steps) visit(step, true);
  for (const buffer of reported) touch(buffer, position);
  // Inner loops come before the loops around them, so that one pass extends through every level.
  for (const [buffer, interval] of intervals) {
    for (const loop of loops) {
      const contained = loop.first < interval.first && interval.last < loop.last;
      const ownEach = loop.locals === null || loop.locals.includes(buffer);
      if ((contained && ownEach) || !overlap(interval, loop)) continue;
      interval.first = Math.min(interval.first, loop.first);
      interval.last = Math.max(interval.last, loop.last);
    }
  }
  return intervals;
}
