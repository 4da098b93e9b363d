/** Loops and gradient stops. Loop bodies are traced once; what they close over becomes an input of the loop. */
import { ShapeError, TraceError } from "../errors.ts";
import { formatType, sameType } from "../ir/tensor-type.ts";
import { closeOver, emit, emit1, traceOpen } from "../trace/builder.ts";
import { type Operand, Tracer } from "../trace/tracer.ts";
import {
  flatten,
  formatTreeDef,
  type MapTree,
  type PathLeaf,
  type TreeDef,
  treeMap,
  unflatten,
} from "../trace/tree.ts";
import { lift } from "./lift.ts";

/** The same value, through which no gradient flows. Works on trees of tensors. */
export function stopGradient<T>(tree: T): MapTree<T, Operand, Tracer> {
  return treeMap((x: Operand) => emit1("stop_gradient", [lift("stopGradient", x)], {}), tree);
}

export interface ScanOptions {
  /** Number of steps; needed only when `xs` has no leaf. */
  readonly length?: number;
  /** Visit the steps from the last to the first; results keep their places. */
  readonly reverse?: boolean;
}

interface Flat {
  readonly tracers: readonly Tracer[];
  readonly paths: readonly string[];
  readonly def: TreeDef;
}

function flattenOperands(op: string, tree: unknown): Flat {
  const { leaves, def } = flatten(tree);
  // Leaves of other kinds are refused by lift, by name.
  const tracers = leaves.map(({ leaf }) => lift(op, leaf as Operand));
  return { tracers, paths: leaves.map(({ path }: PathLeaf<unknown>) => path), def };
}

/** The carry that a body returns must be what it was given: same structure, same types. */
function requireSameCarry(op: string, before: Flat, after: Flat): void {
  const [a, b] = [formatTreeDef(before.def), formatTreeDef(after.def)];
  if (a !== b) throw new TraceError(`${op}: the body returns a carry of structure ${b}, it was given ${a}`);
  before.tracers.forEach((x, i) => {
    const y = after.tracers[i];
    if (y !== undefined && !sameType(x.type, y.type)) {
      const path = before.paths[i] ?? "";
      throw new ShapeError(
        `${op}: the body turns carry${path === "" ? "" : ` '${path}'`} of type ${formatType(x.type)} into ${formatType(y.type)}`,
      );
    }
  });
}

/** JavaScript callers may return anything. */
function requirePair<P>(pair: P): P {
  if (Array.isArray(pair) && pair.length === 2) return pair;
  const got = Array.isArray(pair) ? `an array of ${pair.length}` : pair instanceof Tracer ? String(pair) : typeof pair;
  throw new TraceError(`scan: the body must return [carry, y], it returns ${got}; return [carry, []] without a y`);
}

function scanLength(xs: Flat, options: ScanOptions): number {
  const lengths = xs.tracers.map((x) => x.shape[0]);
  const length = options.length ?? lengths[0];
  if (length === undefined) {
    throw new ShapeError("scan: give `length`, or xs whose leaves have a leading axis to step over");
  }
  xs.tracers.forEach((x, i) => {
    if (x.shape[0] !== length) {
      throw new ShapeError(
        `scan: xs${xs.paths[i] === "" ? "" : ` '${xs.paths[i] ?? ""}'`} is ${formatType(x.type)}, its axis 0 must be ${length}`,
      );
    }
  });
  return length;
}

/**
 * Steps `body` over axis 0 of every leaf of `xs`, threading a carry: (carry, x) -> [carry, y]. Returns the last carry and
 * the ys stacked on axis 0. Differentiable: the reverse scan saves carries and the results of stopGradient and whileLoop,
 * and recomputes the rest. Throws ShapeError or TraceError if the carry changes its type or structure.
 */
export function scan<const C, X, Y>(
  body: (
    carry: MapTree<C, Operand, Tracer>,
    x: MapTree<X, Operand, Tracer>,
  ) => readonly [NoInfer<C> | MapTree<C, Operand, Operand>, Y],
  init: C,
  xs: X,
  options: ScanOptions = {},
): readonly [MapTree<C, Operand, Tracer>, MapTree<Y, Operand, Tracer>] {
  const carry = flattenOperands("scan", init);
  const inputs = flattenOperands("scan", xs);
  const length = scanLength(inputs, options);
  const slices = inputs.tracers.map(({ dtype, shape }) => ({ dtype, shape: shape.slice(1) }));
  let yDef: TreeDef = { kind: "leaf" };
  const { graph } = traceOpen([...carry.tracers.map((x) => x.type), ...slices], (args) => {
    // unflatten gives back the structure that init and xs had.
    const c = unflatten(carry.def, args.slice(0, carry.tracers.length)) as MapTree<C, Operand, Tracer>;
    const x = unflatten(inputs.def, args.slice(carry.tracers.length)) as MapTree<X, Operand, Tracer>;
    const [next, y] = requirePair(body(c, x));
    const after = flattenOperands("scan", next);
    requireSameCarry("scan", carry, after);
    const ys = flattenOperands("scan", y);
    yDef = ys.def;
    return [...after.tracers, ...ys.tracers];
  });
  const closed = closeOver(graph);
  const results = emit("scan", [...closed.captures, ...carry.tracers, ...inputs.tracers], {
    body: closed.graph,
    consts: closed.captures.length,
    carry: carry.tracers.length,
    length,
    reverse: options.reverse ?? false,
  });
  return [
    unflatten(carry.def, results.slice(0, carry.tracers.length)) as MapTree<C, Operand, Tracer>,
    unflatten(yDef, results.slice(carry.tracers.length)) as MapTree<Y, Operand, Tracer>,
  ];
}

export interface WhileOptions {
  /** The loop ends after so many steps at the latest; every loop is bounded. */
  readonly maxSteps: number;
}

/**
 * Repeats `body` while `predicate` holds, at most maxSteps times. With a predicate of bool[rows], axis 0 of every carry
 * leaf is rows, and a row whose predicate has failed keeps its carry. `steps` is int32[] or int32[rows]. Not
 * differentiable: put stopGradient around it, or use scan, or fixedPoint with an adjoint.
 */
export function whileLoop<const C>(
  predicate: (carry: MapTree<C, Operand, Tracer>) => Tracer,
  body: (carry: MapTree<C, Operand, Tracer>) => NoInfer<C> | MapTree<C, Operand, Operand>,
  init: C,
  options: WhileOptions,
): { readonly carry: MapTree<C, Operand, Tracer>; readonly steps: Tracer } {
  const carry = flattenOperands("whileLoop", init);
  const types = carry.tracers.map((x) => x.type);
  const restore = (leaves: readonly Tracer[]): MapTree<C, Operand, Tracer> =>
    unflatten(carry.def, leaves) as MapTree<C, Operand, Tracer>;
  const cond = closeOver(traceOpen(types, (args) => [predicate(restore(args))]).graph);
  const step = closeOver(
    traceOpen(types, (args) => {
      const after = flattenOperands("whileLoop", body(restore(args)));
      requireSameCarry("whileLoop", carry, after);
      return after.tracers;
    }).graph,
  );
  const results = emit("while", [...cond.captures, ...step.captures, ...carry.tracers], {
    cond: cond.graph,
    body: step.graph,
    condConsts: cond.captures.length,
    bodyConsts: step.captures.length,
    maxSteps: options.maxSteps,
  });
  const steps = results[carry.tracers.length];
  if (steps === undefined) throw new TraceError("whileLoop: no step count");
  return { carry: restore(results.slice(0, carry.tracers.length)), steps };
}
