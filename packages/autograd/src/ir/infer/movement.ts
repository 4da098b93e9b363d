/** Result types of the primitives that only move elements. */
import { ShapeError } from "../../errors.ts";
import type { InferRule } from "../infer.ts";
import { dimOf, formatType, sizeOf, tensorType, type TensorType } from "../tensor-type.ts";
import { formatShape, one, requireAxis, requireList, requireSameDType } from "./check.ts";

export const reshape: InferRule<"reshape"> = (inputs, { shape }) => {
  const x = one("reshape", inputs);
  const result = tensorType(x.dtype, shape);
  if (sizeOf(x.shape) !== sizeOf(shape)) {
    throw new ShapeError(
      `reshape: ${formatType(x)} has ${sizeOf(x.shape)} elements, ${formatShape(shape)} needs ${sizeOf(shape)}`,
    );
  }
  return [result];
};

export const transpose: InferRule<"transpose"> = (inputs, { permutation }) => {
  const x = one("transpose", inputs);
  const sorted = [...permutation].sort((a, b) => a - b);
  if (sorted.length !== x.shape.length || sorted.some((axis, i) => axis !== i)) {
    throw new ShapeError(`transpose: ${formatShape(permutation)} is not a permutation of the axes of ${formatType(x)}`);
  }
  return [{ dtype: x.dtype, shape: permutation.map((axis) => dimOf(x.shape, axis)) }];
};

export const broadcast_in_dim: InferRule<"broadcast_in_dim"> = (inputs, { shape, dims }) => {
  const x = one("broadcast_in_dim", inputs);
  const result = tensorType(x.dtype, shape);
  requireList("broadcast_in_dim", "dims", dims, x, 0);
  dims.forEach((dim, i) => {
    requireAxis("broadcast_in_dim", result, dim);
    const previous = dims[i - 1];
    if (previous !== undefined && previous >= dim) {
      throw new ShapeError(`broadcast_in_dim: dims ${formatShape(dims)} must be strictly increasing`);
    }
    const [from, to] = [dimOf(x.shape, i), dimOf(shape, dim)];
    if (from !== to && from !== 1) {
      throw new ShapeError(
        `broadcast_in_dim: axis ${i} of ${formatType(x)} (${from}) cannot become axis ${dim} of ${formatShape(shape)} (${to})`,
      );
    }
  });
  return [result];
};

export const slice: InferRule<"slice"> = (inputs, { start, limit, strides }) => {
  const x = one("slice", inputs);
  requireList("slice", "start", start, x, 0);
  requireList("slice", "limit", limit, x, 0);
  requireList("slice", "strides", strides, x, 1);
  const shape = x.shape.map((size, axis) => {
    const [from, to] = [dimOf(start, axis), dimOf(limit, axis)];
    if (from > to || to > size) {
      throw new ShapeError(`slice: ${from}..${to} is out of range for axis ${axis} of ${formatType(x)}`);
    }
    return Math.ceil((to - from) / dimOf(strides, axis));
  });
  return [{ dtype: x.dtype, shape }];
};

export const pad: InferRule<"pad"> = (inputs, { low, high, interior }) => {
  const x = one("pad", inputs);
  requireList("pad", "low", low, x, 0);
  requireList("pad", "high", high, x, 0);
  requireList("pad", "interior", interior, x, 0);
  const shape = x.shape.map(
    (size, axis) => dimOf(low, axis) + size + Math.max(0, size - 1) * dimOf(interior, axis) + dimOf(high, axis),
  );
  return [tensorType(x.dtype, shape)];
};

export const concatenate: InferRule<"concatenate"> = (inputs, { axis }) => {
  const [first] = inputs;
  if (first === undefined) throw new ShapeError("concatenate: needs at least one operand");
  requireAxis("concatenate", first, axis);
  requireSameDType("concatenate", inputs);
  let size = 0;
  for (const type of inputs) {
    size += concatenableSize(first, type, axis);
  }
  return [
    tensorType(
      first.dtype,
      first.shape.map((dim, i) => (i === axis ? size : dim)),
    ),
  ];
};

function concatenableSize(first: TensorType, type: TensorType, axis: number): number {
  const fits =
    type.shape.length === first.shape.length && type.shape.every((dim, i) => i === axis || dim === first.shape[i]);
  if (!fits) {
    throw new ShapeError(`concatenate: ${formatType(first)} and ${formatType(type)} differ outside axis ${axis}`);
  }
  return dimOf(type.shape, axis);
}
