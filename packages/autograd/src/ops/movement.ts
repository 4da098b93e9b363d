/** Operations that move elements without computing on them. */
import { ArgumentError, ShapeError } from "../errors.ts";
import { formatType, sameShape, type Shape, sizeOf } from "../ir/tensor-type.ts";
import { emit1 } from "../trace/builder.ts";
import type { Operand, Tracer } from "../trace/tracer.ts";
import { astype, broadcastTo, lift, normalizeAxis, promoteDTypes } from "./lift.ts";

/** New shape, same elements in row-major order; one dimension may be -1 and is worked out. */
export function reshape(operand: Operand, shape: Shape): Tracer {
  const x = lift("reshape", operand);
  const target = inferredShape(x, shape);
  return sameShape(x.shape, target) ? x : emit1("reshape", [x], { shape: target });
}

function inferredShape(x: Tracer, shape: Shape): Shape {
  const unknown = shape.filter((dim) => dim === -1).length;
  if (unknown === 0) return shape;
  const known = shape.reduce((size, dim) => (dim === -1 ? size : size * dim), 1);
  const size = sizeOf(x.shape) / known;
  if (unknown > 1 || !Number.isInteger(size)) {
    throw new ShapeError(`reshape: cannot work out -1 in [${shape.join(",")}] for ${formatType(x.type)}`);
  }
  return shape.map((dim) => (dim === -1 ? size : dim));
}

/** Permutes the axes; without a permutation, reverses them. */
export function transpose(operand: Operand, permutation?: readonly number[]): Tracer {
  const x = lift("transpose", operand);
  const axes = permutation?.map((axis) => normalizeAxis("transpose", x, axis)) ?? x.shape.map((_, i) => x.rank - 1 - i);
  return axes.every((axis, i) => axis === i) && axes.length === x.rank
    ? x
    : emit1("transpose", [x], { permutation: axes });
}

/** Inserts an axis of size 1 before `axis` of the result. */
export function expandDims(operand: Operand, axis: number): Tracer {
  const x = lift("expandDims", operand);
  const at = axis < 0 ? axis + x.rank + 1 : axis;
  if (!Number.isInteger(at) || at < 0 || at > x.rank) {
    throw new ShapeError(`expandDims: axis ${axis} is out of range for ${formatType(x.type)}`);
  }
  return reshape(x, [...x.shape.slice(0, at), 1, ...x.shape.slice(at)]);
}

/** Removes an axis of size 1. */
export function squeeze(operand: Operand, axis: number): Tracer {
  const x = lift("squeeze", operand);
  const at = normalizeAxis("squeeze", x, axis);
  if (x.dim(at) !== 1) throw new ShapeError(`squeeze: axis ${axis} of ${formatType(x.type)} is not of size 1`);
  return reshape(
    x,
    x.shape.filter((_, i) => i !== at),
  );
}

/** One range per axis from axis 0 on: [start, limit] or [start, limit, stride]; negative ends count from the end. */
export type SliceRange = readonly [number, number] | readonly [number, number, number];

/** The elements in one range per axis; axes without a range are kept whole. */
export function slice(operand: Operand, ranges: readonly (SliceRange | null)[]): Tracer {
  const x = lift("slice", operand);
  if (ranges.length > x.rank) {
    throw new ShapeError(`slice: ${ranges.length} ranges for ${formatType(x.type)}`);
  }
  const fromEnd = (n: number, size: number): number => (n < 0 ? n + size : n);
  const full = x.shape.map((size, axis): SliceRange => {
    const range = ranges[axis] ?? [0, size];
    return [fromEnd(range[0], size), fromEnd(range[1], size), range[2] ?? 1];
  });
  return emit1("slice", [x], {
    start: full.map((range) => range[0]),
    limit: full.map((range) => range[1]),
    strides: full.map((range) => range[2] ?? 1),
  });
}

/** A range of one axis, the others whole. */
export function sliceAxis(operand: Operand, axis: number, start: number, limit: number): Tracer {
  const x = lift("sliceAxis", operand);
  const at = normalizeAxis("sliceAxis", x, axis);
  return slice(
    x,
    x.shape.map((_, i) => (i === at ? ([start, limit] as const) : null)),
  );
}

/** One element of an axis, which is removed; negative indices count from the end. */
export function index(operand: Operand, axis: number, at: number): Tracer {
  const x = lift("index", operand);
  const normal = normalizeAxis("index", x, axis);
  const start = at < 0 ? at + x.dim(normal) : at;
  return squeeze(sliceAxis(x, normal, start, start + 1), normal);
}

/** Cuts an axis into consecutive pieces of the given sizes. */
export function split(operand: Operand, sizes: readonly number[], axis: number): readonly Tracer[] {
  const x = lift("split", operand);
  const at = normalizeAxis("split", x, axis);
  const total = sizes.reduce((a, b) => a + b, 0);
  if (total !== x.dim(at)) {
    throw new ShapeError(
      `split: sizes [${sizes.join(",")}] do not add up to axis ${axis} of ${formatType(x.type)}, which is ${x.dim(at)}`,
    );
  }
  let start = 0;
  return sizes.map((size) => {
    const piece = sliceAxis(x, at, start, start + size);
    start += size;
    return piece;
  });
}

/** Zeros before and after: one [low, high] per axis. */
export function pad(operand: Operand, amounts: readonly (readonly [number, number])[]): Tracer {
  const x = lift("pad", operand);
  if (amounts.length !== x.rank) {
    throw new ShapeError(
      `pad: ${amounts.length} amounts for ${formatType(x.type)}; give one [low, high] per axis, [0, 0] where nothing is added`,
    );
  }
  return emit1("pad", [x], {
    low: amounts.map(([low]) => low),
    high: amounts.map(([, high]) => high),
    interior: amounts.map(() => 0),
  });
}

/** Joins tensors along an existing axis; dtypes are promoted. */
export function concatenate(operands: readonly Operand[], axis: number): Tracer {
  const lifted = operands.map((operand) => lift("concatenate", operand));
  const [first] = lifted;
  if (first === undefined) throw new ShapeError("concatenate: needs at least one operand");
  const dtype = lifted.map((x) => x.dtype).reduce((a, b) => promoteDTypes("concatenate", a, b));
  const parts = lifted.map((x) => astype(x, dtype));
  return parts.length === 1
    ? astype(first, dtype)
    : emit1("concatenate", parts, { axis: normalizeAxis("concatenate", first, axis) });
}

/** Joins tensors of one shape along a new axis. */
export function stack(operands: readonly Operand[], axis = 0): Tracer {
  const [first] = operands;
  if (first === undefined) throw new ShapeError("stack: needs at least one operand");
  const { rank, type } = lift("stack", first);
  const at = axis < 0 ? axis + rank + 1 : axis;
  if (!Number.isInteger(at) || at < 0 || at > rank) {
    throw new ShapeError(`stack: axis ${axis} is out of range for a new axis of ${formatType(type)}`);
  }
  return concatenate(
    operands.map((operand) => expandDims(operand, at)),
    at,
  );
}

/**
 * Delays by `steps` along an axis: shift(y)[t] = y[t - steps], and `fill` (default zeros) where there is no such step.
 * `fill` must broadcast to the first `steps` entries, e.g. [batch, 1, channel] for a carried state.
 */
export function shift(
  operand: Operand,
  axis: number,
  options: { readonly steps?: number; readonly fill?: Operand } = {},
): Tracer {
  const x = lift("shift", operand);
  const at = normalizeAxis("shift", x, axis);
  const { steps: wanted = 1 } = options;
  if (!Number.isInteger(wanted) || wanted < 0) {
    throw new ArgumentError(
      `shift: steps must be a non-negative integer, got ${wanted} for ${formatType(x.type)}; to look ahead, slice and pad`,
    );
  }
  const steps = Math.min(wanted, x.dim(at));
  const kept = sliceAxis(x, at, 0, x.dim(at) - steps);
  if (options.fill === undefined) {
    return pad(
      kept,
      x.shape.map((_, i) => [i === at ? steps : 0, 0] as const),
    );
  }
  const shape = x.shape.map((dim, i) => (i === at ? steps : dim));
  return concatenate([broadcastTo(astype(options.fill, x.dtype), shape), kept], at);
}
