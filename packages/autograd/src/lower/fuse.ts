/** Fusion: an elementwise kernel joins an earlier one over the same points, or has it wait, so that values pass in registers. */
import { sameShape, type Shape } from "../ir/tensor-type.ts";
import { type Access, sameOn } from "./access.ts";
import {
  buffersOf,
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
  const list: Step[] = [];
  for (const original of steps) {
    const step = fuseNested(original);
    if (step.kind !== "map" || !(joinEarlier(list, step) || joinDelayed(list, step))) list.push(step);
  }
  return list;
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

/** Moves `map` up to a kernel that it can join, if nothing on the way depends on their order. */
function joinEarlier(list: Step[], map: MapKernel): boolean {
  for (let i = list.length - 1; i >= 0; i--) {
    const step = list[i];
    if (step === undefined) return false;
    const joined = isKernel(step) && step.kind !== "scatter" ? join(step, map) : null;
    if (joined !== null) {
      list[i] = joined;
      return true;
    }
    if (dependsOn(map, step)) return false;
  }
  return false;
}

/** Steps between a kernel and a map that reads its results, at most, for the kernel to be delayed. */
const REACH = 8;

/** Moves a kernel whose results `map` reads down to it, if nothing on the way depends on their order. */
function joinDelayed(list: Step[], map: MapKernel): boolean {
  const read = readBy(map);
  for (let i = list.length - 1; i >= Math.max(0, list.length - REACH); i--) {
    const step = list[i];
    if (step === undefined || !isKernel(step) || step.kind === "scatter") continue;
    if (!writtenBy(step).some((buffer) => read.has(buffer))) continue;
    if (list.slice(i + 1).some((later) => dependsOn(step, later))) continue;
    const joined = join(step, map);
    if (joined === null) continue;
    list.splice(i, 1);
    list.push(joined);
    return true;
  }
  return false;
}

/** Whether a kernel and another step must stay in order: one writes what the other reads or writes. */
function dependsOn(kernel: Kernel, step: Step): boolean {
  const written = writtenBy(kernel);
  const read = readBy(kernel);
  let depends = false;
  visitSteps([step], (inner) => {
    if (depends) return;
    const writes = isKernel(inner) ? writtenBy(inner) : inner.kind === "while" ? [inner.flag, inner.steps] : [];
    const reads = isKernel(inner) ? readBy(inner) : new Set(inner.kind === "while" ? [inner.flag] : []);
    depends =
      writes.some((buffer) => read.has(buffer) || written.includes(buffer)) ||
      written.some((buffer) => reads.has(buffer));
  });
  return depends;
}

/** One kernel that does the work of both, or null. */
function join(kernel: PointKernel, original: MapKernel): PointKernel | null {
  const map = overShape(original, kernel.shape);
  if (map === null || !isWorthJoining(kernel, map)) return null;
  const values = new Map(kernel.stores.map((store) => [store.buffer, store]));
  if (map.stores.some(({ buffer }) => values.has(buffer)) || !mayOverwrite(kernel, map)) return null;
  const stores = map.stores.map((store): Store | null => {
    const value = throughRegisters(store.value, values, map.shape);
    return value === null ? null : { ...store, value };
  });
  if (!stores.every((store) => store !== null)) return null;
  const all = [...kernel.stores, ...stores];
  return countNodes(all) > MAX_NODES ? null : { ...kernel, stores: all };
}

/** The map over a shape that differs by axes of size 1 at most; null over any other. */
function overShape(map: MapKernel, shape: Shape): MapKernel | null {
  if (sameShape(map.shape, shape)) return map;
  const [from, to] = [longAxes(map.shape), longAxes(shape)];
  if (from.length !== to.length || from.some((axis, i) => map.shape[axis] !== shape[to[i] ?? 0])) return null;
  const move = (access: Access): Access => {
    const strides = new Array<number>(shape.length).fill(0);
    to.forEach((axis, i) => (strides[axis] = access.strides[from[i] ?? 0] ?? 0));
    return { ...access, strides };
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

/** Joining pays where a value or an input is shared; and a kernel that runs in lanes must not be held up by one that cannot. */
function isWorthJoining(kernel: PointKernel, map: MapKernel): boolean {
  const written = new Set(writtenBy(kernel));
  const shared = [...readBy(map)].some((buffer) => written.has(buffer) || readBy(kernel).has(buffer));
  return shared && (runsInLanes(map.stores, map.shape) || !runsInLanes(kernel.stores, kernel.shape));
}

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
function mayOverwrite(kernel: PointKernel, map: MapKernel): boolean {
  const operands = buffersOf(operandsOf(kernel));
  return map.stores.every(
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

/** Replaces reads of what the kernel stores at the same point by the value itself; null if another point is read. */
function throughRegisters(
  value: Expression,
  stores: ReadonlyMap<ProgramBuffer, Store>,
  shape: readonly number[],
): Expression | null {
  const elsewhere: Expression[] = [];
  const result = rewriteExpression(value, (node) => {
    if (node.kind !== "read" && node.kind !== "gather") return node;
    const store = stores.get(node.buffer);
    if (store === undefined) return node;
    if (node.kind === "read" && sameOn(shape, node.access, store.access)) return store.value;
    elsewhere.push(node);
    return node;
  });
  return elsewhere.length === 0 ? result : null;
}

function countNodes(stores: readonly Store[]): number {
  const nodes = new Set<Expression>();
  for (const { value } of stores) visitExpression(value, (node) => nodes.add(node));
  return nodes.size;
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
