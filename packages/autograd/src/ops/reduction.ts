/** Reductions. `axes` may be one axis, several or absent (all); `keepDims` leaves axes of size 1 behind. */
import { ShapeError } from "../errors.ts";
import { dimOf, formatType } from "../ir/tensor-type.ts";
import { emit1 } from "../trace/builder.ts";
import type { Operand, Tracer } from "../trace/tracer.ts";
import { div, mul, neg, sub } from "./elementwise.ts";
import { astype, lift, normalizeAxes, normalizeAxis } from "./lift.ts";
import { reshape } from "./movement.ts";

export interface ReduceOptions {
  readonly axes?: number | readonly number[];
  readonly keepDims?: boolean;
}

function reduce(primitive: "reduce_sum" | "reduce_max", x: Tracer, options: ReduceOptions): Tracer {
  const axes = normalizeAxes(primitive, x, options.axes);
  const result = axes.length === 0 ? x : emit1(primitive, [x], { axes });
  if (options.keepDims !== true) return result;
  return reshape(
    result,
    x.shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim)),
  );
}

/** Sum of the elements; bools are counted as int32. */
export function sum(operand: Operand, options: ReduceOptions = {}): Tracer {
  const x = lift("sum", operand);
  return reduce("reduce_sum", x.dtype === "bool" ? astype(x, "int32") : x, options);
}

/** Arithmetic mean. Throws ShapeError if there is nothing to average. */
export function mean(operand: Operand, options: ReduceOptions = {}): Tracer {
  const x = lift("mean", operand);
  const count = normalizeAxes("mean", x, options.axes).reduce((n, axis) => n * dimOf(x.shape, axis), 1);
  if (count === 0) throw new ShapeError(`mean: nothing to average in ${formatType(x.type)}`);
  const total = sum(x, options);
  return div(total.dtype === "int32" || total.dtype === "uint32" ? astype(total, "float32") : total, count);
}

/** Mean of the squared distances to the mean (divided by n, not n - 1). */
export function variance(operand: Operand, options: ReduceOptions = {}): Tracer {
  const x = lift("variance", operand);
  const centred = sub(x, mean(x, { ...options, keepDims: true }));
  return mean(mul(centred, centred), options);
}

/** Largest element; NaN if any is. Ties share the gradient equally. */
export const max = (x: Operand, options: ReduceOptions = {}): Tracer => reduce("reduce_max", lift("max", x), options);

/** Smallest element; NaN if any is. */
export const min = (x: Operand, options: ReduceOptions = {}): Tracer => neg(max(neg(x), options));

/** int32 index of the first largest element along an axis (default the last). */
export function argmax(operand: Operand, axis = -1): Tracer {
  const x = lift("argmax", operand);
  return emit1("argmax", [x], { axis: normalizeAxis("argmax", x, axis) });
}

/** bool: does it hold everywhere along the axes? */
export function all(operand: Operand, options: ReduceOptions = {}): Tracer {
  const x = lift("all", operand);
  return emit1("compare", [sum(emit1("not", [x], {}), options), zeroCount(x, options)], { direction: "eq" });
}

/** bool: does it hold anywhere along the axes? */
export function any(operand: Operand, options: ReduceOptions = {}): Tracer {
  const x = lift("any", operand);
  return emit1("compare", [sum(x, options), zeroCount(x, options)], { direction: "gt" });
}

function zeroCount(x: Tracer, options: ReduceOptions): Tracer {
  const axes = normalizeAxes("any", x, options.axes);
  const shape = x.shape.flatMap((dim, axis) => (axes.includes(axis) ? (options.keepDims === true ? [1] : []) : [dim]));
  return emit1("broadcast_in_dim", [lift("any", 0, "int32")], { shape, dims: [] });
}
