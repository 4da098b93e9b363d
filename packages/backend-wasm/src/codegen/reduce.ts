/** Reductions: lanes along the kept axis where that is contiguous, else along the reduced one with a fixed tree at the end. */
import type { Access, DType, Expression, ReduceKernel, Store } from "@banach/autograd/backend";
import { visitExpression } from "@banach/autograd/backend";
import { type Expr, f32x4, type FunctionBuilder, i32x4, type Local, shuffle32x4, v128 } from "../wasm/index.ts";
import { accessesOf, groupAxes, mapAll, regroup } from "./collapse.ts";
import { divided, divisionOf } from "./divide.ts";
import { constant, LaneEmitter } from "./emitter.ts";
import type { KernelBody, KernelHost } from "./kernel-host.ts";
import { Nest } from "./nest.ts";

interface Plan {
  readonly sizes: readonly number[];
  readonly kept: readonly number[];
  readonly reduced: readonly number[];
  readonly value: Expression;
  readonly stores: readonly Store[];
}

function planOf(kernel: ReduceKernel): Plan {
  const all = [...kernel.shape, ...kernel.reduced];
  const axes = all.map((_, axis) => axis);
  const accesses = accessesOf([kernel.value], kernel.stores.map(padded(all.length)));
  const keptGroups = groupAxes(all, axes.slice(0, kernel.shape.length), accesses);
  const reducedGroups = groupAxes(all, axes.slice(kernel.shape.length), accessesOf([kernel.value], []));
  const { sizes, access } = regroup(all, [...keptGroups, ...reducedGroups]);
  const { expressions, stores } = mapAll([kernel.value], kernel.stores.map(padded(all.length)), access);
  const [value = kernel.value] = expressions;
  return {
    sizes,
    kept: keptGroups.map((_, axis) => axis),
    reduced: reducedGroups.map((_, axis) => keptGroups.length + axis),
    value,
    stores,
  };
}

/** A store over the kept axes only does not move along the others. */
function padded(rank: number): (store: Store) => Store {
  return (store) => ({
    ...store,
    access: {
      ...store.access,
      strides: [...store.access.strides, ...new Array<number>(rank - store.access.strides.length).fill(0)],
    },
  });
}

/** Reads along an axis that are neither contiguous nor constant, and how many are contiguous. */
function contiguity(value: Expression, axis: number): { readonly strided: number; readonly contiguous: number } {
  let strided = 0;
  let contiguous = 0;
  const see = ({ strides }: Access): void => {
    const stride = strides[axis] ?? 0;
    if (stride === 1) contiguous++;
    else if (stride !== 0) strided++;
  };
  visitExpression(value, (node) => {
    if (node.kind === "read") see(node.access);
    if (node.kind === "gather") strided++;
  });
  return { strided, contiguous };
}

export function reduceBody(kernel: ReduceKernel, host: KernelHost): KernelBody {
  const plan = planOf(kernel);
  const lastKept = plan.kept.at(-1);
  const lastReduced = plan.reduced.at(-1);
  const alongReduced =
    kernel.combine !== "argmax" &&
    lastReduced !== undefined &&
    (lastKept === undefined ||
      contiguity(plan.value, lastReduced).strided < contiguity(plan.value, lastKept).strided ||
      (plan.sizes[lastKept] ?? 0) < 4);
  return alongReduced ? lanesAlongReduced(kernel, plan, lastReduced, host) : lanesAlongKept(kernel, plan, host);
}

/** Every lane is a point of its own: no combination across lanes. */
function lanesAlongKept(kernel: ReduceKernel, plan: Plan, host: KernelHost): KernelBody {
  const { sizes, kept, reduced, value, stores } = plan;
  const lane = kept.at(-1);
  const division = divisionOf(host.team, sizes, kept, lane);
  const write = (f: FunctionBuilder): void => {
    const nest = new Nest(f, host.layout, [value], stores);
    const { spans, lanes: run } = divided(f, host.team, sizes, division, lane);
    const point = (lanes: number): void => {
      f.scope(() => {
        const options = { locator: nest, math: host.math, axis: lane ?? -1, lanes };
        const result = accumulate(f, kernel, (add) => {
          nest.loops(sizes, reduced, () => {
            f.scope(() => {
              add(new LaneEmitter(f, options).value(value));
            });
          });
        });
        new LaneEmitter(f, { ...options, accumulated: result }).storeAll(stores);
      });
    };
    nest.loops(spans, kept.slice(0, -1), () => {
      nest.lanes(lane, lane === undefined ? 1 : (sizes[lane] ?? 1), point, run);
    });
  };
  return { write, shared: division !== null };
}

/** Runs a reduction in lanes and returns its result: the value, or for argmax the position. */
function accumulate(
  f: FunctionBuilder,
  { combine, value: { dtype } }: ReduceKernel,
  run: (add: (x: Expr<"v128">) => void) => void,
): Expr<"v128"> {
  const best = f.local("v128", identity(combine, dtype));
  if (combine !== "argmax") {
    run((x) => {
      f.set(best, combined(combine, dtype, best, x));
    });
    return best;
  }
  const position = f.local("v128", i32x4.const(-1, -1, -1, -1));
  const where = f.local("v128", i32x4.const(0, 0, 0, 0));
  run((x) => {
    f.set(position, i32x4.add(position, i32x4.const(1, 1, 1, 1)));
    const wins = f.let(beats(dtype, x, best, position));
    f.set(best, v128.bitselect(x, best, wins));
    f.set(where, v128.bitselect(position, where, wins));
  });
  return where;
}

/** The first element wins; a larger one wins; a NaN wins over everything but a NaN. */
function beats(dtype: DType, x: Expr<"v128">, best: Expr<"v128">, position: Expr<"v128">): Expr<"v128"> {
  const first = i32x4.eq(position, i32x4.const(0, 0, 0, 0));
  if (dtype !== "float32") return v128.or(first, dtype === "int32" ? i32x4.gt_s(x, best) : i32x4.gt_u(x, best));
  const nan = v128.and(f32x4.ne(x, x), f32x4.eq(best, best));
  return v128.or(first, v128.or(f32x4.gt(x, best), nan));
}

/** Vectors that are accumulated side by side: an addition takes about as many cycles as this hides. */
const PARTS = 4;

/**
 * Lanes hold parts of one point, combined pairwise at the end in an order that depends on the shape only. Long rows are
 * summed in several vectors at once, for one would wait for itself.
 */
function lanesAlongReduced(kernel: ReduceKernel, plan: Plan, lane: number, host: KernelHost): KernelBody {
  const { sizes, kept, reduced, value, stores } = plan;
  const { combine } = kernel;
  const { dtype } = value;
  const size = sizes[lane] ?? 1;
  const wide = Math.floor(size / (4 * PARTS));
  const both = (a: Expr<"v128">, b: Expr<"v128">): Expr<"v128"> => combined(combine, dtype, a, b);
  const division = divisionOf(host.team, sizes, kept, undefined);
  const write = (f: FunctionBuilder): void => {
    const nest = new Nest(f, host.layout, [value], stores);
    const { spans } = divided(f, host.team, sizes, division, undefined);
    nest.loops(spans, kept, () => {
      f.scope(() => {
        const parts = Array.from({ length: wide > 0 ? PARTS : 1 }, () => f.local("v128", identity(combine, dtype)));
        const rest = f.local("v128", identity(combine, dtype));
        const add = (into: Local<"v128">, lanes: number): void => {
          f.scope(() => {
            const x = new LaneEmitter(f, { locator: nest, math: host.math, axis: lane, lanes }).value(value);
            f.set(into, both(into, x));
          });
        };
        nest.loops(sizes, reduced.slice(0, -1), () => {
          nest.loop(lane, wide, 4 * PARTS, () => {
            parts.forEach((part, i) => {
              nest.moved(lane, 4 * i, () => {
                add(part, 4);
              });
            });
          });
          nest.moved(lane, wide * 4 * PARTS, () => {
            nest.lanes(lane, size - wide * 4 * PARTS, (lanes) => {
              add(lanes === 4 ? (parts[0] ?? rest) : rest, lanes);
            });
          });
        });
        const total = pairwise(parts, (a, b) => f.let(both(a, b)));
        const halves = f.let(both(total, shuffle32x4(total, total, [2, 3, 0, 1])));
        const whole = f.let(both(halves, shuffle32x4(halves, halves, [1, 0, 3, 2])));
        const accumulated = f.let(both(whole, rest));
        new LaneEmitter(f, { locator: nest, math: host.math, axis: -1, lanes: 1, accumulated }).storeAll(stores);
      });
    });
  };
  return { write, shared: division !== null };
}

/** Combines neighbours until one is left. */
function pairwise(
  values: readonly Local<"v128">[],
  combine: (a: Local<"v128">, b: Local<"v128">) => Local<"v128">,
): Local<"v128"> {
  const [first, second, ...rest] = values;
  if (first === undefined) throw new RangeError("nothing to combine");
  if (second === undefined) return first;
  return pairwise([...rest, combine(first, second)], combine);
}

function identity(combine: ReduceKernel["combine"], dtype: DType): Expr<"v128"> {
  if (combine === "sum" || dtype === "bool" || dtype === "uint32") return constant(dtype, 0);
  return dtype === "float32" ? constant(dtype, -Infinity) : constant(dtype, -(2 ** 31));
}

function combined(combine: ReduceKernel["combine"], dtype: DType, a: Expr<"v128">, b: Expr<"v128">): Expr<"v128"> {
  if (dtype === "bool") return v128.or(a, b);
  if (combine === "sum") return dtype === "float32" ? f32x4.add(a, b) : i32x4.add(a, b);
  if (dtype === "float32") return f32x4.max(a, b);
  return dtype === "int32" ? i32x4.max_s(a, b) : i32x4.max_u(a, b);
}
