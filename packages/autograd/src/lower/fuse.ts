/** Fusion: an elementwise kernel joins an earlier one over the same points, or has it wait, so that values pass in registers. */
import { sameShape, type Shape } from "../ir/tensor-type.ts";
import { type Access, sameOn, withStrides } from "./access.ts";
import {
  buffersOf,
  childrenOf,
  type Expression,
  mapAccesses,
  type ProgramBuffer,
  rewriteExpression,
  visitExpression,
} from "./expression.ts";
import {
  isKernel,
  type Kernel,
  type MapKernel,
  operandsOf,
  type Program,
  readBy,
  type Step,
  type Store,
  visitSteps,
  writtenBy,
} from "./program.ts";

/** A kernel that stores points: all but scatter. */
type PointKernel = Exclude<Kernel, { readonly kind: "scatter" }>;

/** Nodes in the values of one kernel at most, so that registers do not spill and compiling stays quick. */
const MAX_NODES = 160;

/** Fuses map kernels upwards in every list of steps, then drops what nobody reads any more. */
export function fuse(program: Program): Program {
  return removeDead({ ...program, steps: fuseList(program.steps) });
}

function fuseList(steps: readonly Step[]): readonly Step[] {
  const list: Entry[] = [];
  for (const step of steps) {
    const entry = entryOf(fuseNested(step));
    if (!isMap(entry) || !(joinEarlier(list, entry) || joinDelayed(list, entry))) list.push(entry);
  }
  return list.map(({ step }) => step);
}

function fuseNested(step: Step): Step {
  switch (step.kind) {
    case "while":
      return { ...step, test: fuseList(step.test), body: fuseList(step.body) };
    case "for":
      return { ...step, body: fuseList(step.body) };
    default:
      return step;
  }
}

/** A step of a list that is being fused, and what has to be known of it for each of the others. */
interface Entry {
  step: Step;
  /** Of the step and all in it, and of what has joined it. */
  readonly reads: Set<ProgramBuffer>;
  readonly writes: Set<ProgramBuffer>;
  /** Of the values that are stored; null until something could join. */
  nodes: Set<Expression> | null;
}

interface MapEntry extends Entry {
  step: MapKernel;
}

const isMap = (entry: Entry): entry is MapEntry => entry.step.kind === "map";

function entryOf(step: Step): Entry {
  const reads = new Set<ProgramBuffer>();
  const writes = new Set<ProgramBuffer>();
  visitSteps([step], (inner) => {
    if (isKernel(inner)) {
      for (const buffer of readBy(inner)) reads.add(buffer);
      for (const buffer of writtenBy(inner)) writes.add(buffer);
    } else if (inner.kind === "while") {
      reads.add(inner.flag);
      writes.add(inner.flag).add(inner.steps);
    }
  });
  return { step, reads, writes, nodes: null };
}

function meet(some: ReadonlySet<ProgramBuffer>, others: ReadonlySet<ProgramBuffer>): boolean {
  for (const buffer of some) if (others.has(buffer)) return true;
  return false;
}

/** Moves a map up to a kernel that it can join, if nothing on the way depends on their order. */
function joinEarlier(list: readonly Entry[], map: MapEntry): boolean {
  for (let i = list.length - 1; i >= 0; i--) {
    const entry = list[i];
    if (entry === undefined) return false;
    if (join(entry, map)) return true;
    if (dependsOn(map, entry)) return false;
  }
  return false;
}

/** Steps between a kernel and a map that reads its results, at most, for the kernel to be delayed. */
const REACH = 8;

/** Moves a kernel whose results a map reads down to it, if nothing on the way depends on their order. */
function joinDelayed(list: Entry[], map: MapEntry): boolean {
  for (let i = list.length - 1; i >= Math.max(0, list.length - REACH); i--) {
    const entry = list[i];
    if (entry === undefined || !meet(map.reads, entry.writes)) continue;
    if (list.slice(i + 1).some((later) => dependsOn(entry, later)) || !join(entry, map)) continue;
    list.splice(i, 1);
    list.push(entry);
    return true;
  }
  return false;
}

/** Whether two steps must stay in order: one writes what the other reads or writes. */
function dependsOn({ reads, writes }: Entry, other: Entry): boolean {
  return meet(reads, other.writes) || meet(writes, other.writes) || meet(writes, other.reads);
}

/** Lets the kernel of an entry do the work of a map too, if it can. */
function join(entry: Entry, joining: MapEntry): boolean {
  const { step: kernel } = entry;
  if (!isKernel(kernel) || kernel.kind === "scatter") return false;
  // Joining pays where a value or an input is shared.
  const takes = meet(joining.reads, entry.writes);
  if (!takes && !meet(joining.reads, entry.reads)) return false;
  const map = overShape(joining.step, kernel.shape);
  // A kernel that runs in lanes must not be held up by one that cannot.
  if (map === null || (!runsInLanes(map.stores, map.shape) && runsInLanes(kernel.stores, kernel.shape))) return false;
  if (meet(joining.writes, entry.writes) || !mayOverwrite(entry, kernel, map)) return false;
  const stores = takes ? throughRegisters(map, kernel.stores) : map.stores;
  if (stores === null) return false;
  entry.nodes ??= newNodes(kernel.stores, new Set());
  const added = newNodes(stores, entry.nodes);
  if (entry.nodes.size + added.size > MAX_NODES) return false;
  entry.step = { ...kernel, stores: [...kernel.stores, ...stores] };
  for (const node of added) entry.nodes.add(node);
  for (const buffer of joining.reads) entry.reads.add(buffer);
  for (const buffer of joining.writes) entry.writes.add(buffer);
  return true;
}

/** The map over a shape that differs by axes of size 1 at most; null over any other. */
function overShape(map: MapKernel, shape: Shape): MapKernel | null {
  if (sameShape(map.shape, shape)) return map;
  const [from, to] = [longAxes(map.shape), longAxes(shape)];
  if (from.length !== to.length || from.some((axis, i) => map.shape[axis] !== shape[to[i] ?? 0])) return null;
  const move = (access: Access): Access => {
    const strides = new Array<number>(shape.length).fill(0);
    to.forEach((axis, i) => (strides[axis] = access.strides[from[i] ?? 0] ?? 0));
    return withStrides(access, strides);
  };
  const known = new Map<Expression, Expression>();
  const stores = map.stores.map(({ buffer, access, value }): Store => {
    const moved = mapAccesses(value, move, known);
    if (moved === null) throw new RangeError("fuse: axes of size 1 can always be left out");
    return { buffer, access: move(access), value: moved };
  });
  return { ...map, shape, stores };
}

const longAxes = (shape: Shape): readonly number[] => shape.flatMap((size, axis) => (size === 1 ? [] : [axis]));

/** Every access is contiguous, or constant, along the last axis. */
function runsInLanes(stores: readonly Store[], shape: readonly number[]): boolean {
  const fits = ({ strides }: Access): boolean => shape.at(-1) === 1 || (strides.at(-1) ?? 0) <= 1;
  let lanes = true;
  for (const { access, value } of stores) {
    lanes &&= fits(access);
    visitExpression(value, (node) => {
      if (node.kind === "gather") lanes = false;
      if (node.kind === "read") lanes &&= fits(node.access);
    });
  }
  return lanes;
}

/** The map may overwrite what the kernel reads only where the kernel reads that very element at the same point. */
function mayOverwrite({ reads }: Entry, kernel: PointKernel, map: MapKernel): boolean {
  const overwritten = map.stores.filter(({ buffer }) => reads.has(buffer));
  if (overwritten.length === 0) return true;
  const operands = buffersOf(operandsOf(kernel));
  return overwritten.every(
    ({ buffer, access }) =>
      !operands.has(buffer) && kernel.stores.every(({ value }) => readsOnlyAt(value, buffer, access, map.shape)),
  );
}

function readsOnlyAt(value: Expression, buffer: ProgramBuffer, access: Access, shape: readonly number[]): boolean {
  let only = true;
  visitExpression(value, (node) => {
    if (node.kind === "gather" && node.buffer === buffer) only = false;
    if (node.kind === "read" && node.buffer === buffer) only &&= sameOn(shape, node.access, access);
  });
  return only;
}

/**
 * What the map stores, with reads of what the kernel stores at the same point replaced by the value itself; null if
 * another point is read.
 */
function throughRegisters(map: MapKernel, kernelStores: readonly Store[]): readonly Store[] | null {
  const values = new Map(kernelStores.map((store) => [store.buffer, store]));
  const elsewhere: Expression[] = [];
  const stores = map.stores.map(({ buffer, access, value }): Store => {
    const taken = rewriteExpression(value, (node) => {
      if (node.kind !== "read" && node.kind !== "gather") return node;
      const store = values.get(node.buffer);
      if (store === undefined) return node;
      if (node.kind === "read" && sameOn(map.shape, node.access, store.access)) return store.value;
      elsewhere.push(node);
      return node;
    });
    return { buffer, access, value: taken };
  });
  return elsewhere.length === 0 ? stores : null;
}

/** The nodes of what is stored, except those that are known, whose operands are known too. */
function newNodes(stores: readonly Store[], known: ReadonlySet<Expression>): Set<Expression> {
  const found = new Set<Expression>();
  const visit = (node: Expression): void => {
    if (known.has(node) || found.has(node)) return;
    found.add(node);
    childrenOf(node).forEach(visit);
  };
  for (const { value } of stores) visit(value);
  return found;
}

/** Drops stores to temporaries that nothing reads, and kernels and loops that are left without any; repeats until stable. */
function removeDead(program: Program): Program {
  const read = new Set<ProgramBuffer>(program.outputs);
  visitSteps(program.steps, (step) => {
    if (isKernel(step)) for (const buffer of readBy(step)) read.add(buffer);
    if (step.kind === "while") read.add(step.flag).add(step.steps);
  });
  const prune = (steps: readonly Step[]): readonly Step[] =>
    steps.flatMap((step): readonly Step[] => {
      if (step.kind === "while") return [{ ...step, test: prune(step.test), body: prune(step.body) }];
      if (step.kind === "for") {
        const body = prune(step.body);
        return body.length === 0 ? [] : [{ ...step, body }];
      }
      if (step.kind === "scatter") return [step];
      const stores = step.stores.filter(({ buffer }) => read.has(buffer));
      return stores.length === 0 ? [] : [stores.length === step.stores.length ? step : { ...step, stores }];
    });
  const pruned = { ...program, steps: prune(program.steps) };
  if (countStores(pruned) < countStores(program)) return removeDead(pruned);
  return { ...pruned, temporaries: program.temporaries.filter((buffer) => read.has(buffer)) };
}

function countStores(program: Program): number {
  let count = 0;
  visitSteps(program.steps, (step) => {
    if (isKernel(step)) count += writtenBy(step).length;
  });
  return count;
}
