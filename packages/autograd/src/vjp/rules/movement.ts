/** Vector-Jacobian products of the primitives that move elements: the cotangent is moved back. */
import { dimOf } from "../../ir/tensor-type.ts";
import { reshape as reshapeTo, split } from "../../ops/movement.ts";
import { sum } from "../../ops/reduction.ts";
import { emit1 } from "../../trace/builder.ts";
import type { BackwardRule } from "../rule.ts";

export const reshape: BackwardRule<"reshape"> = ([g], { inputs: [x] }) => [g && x ? reshapeTo(g, x.shape) : null];

export const transpose: BackwardRule<"transpose"> = ([g], { params: { permutation } }) => {
  const inverse = permutation.map((_, axis) => permutation.indexOf(axis));
  return [g ? emit1("transpose", [g], { permutation: inverse }) : null];
};

/** Sums over the axes that were repeated. */
export const broadcast_in_dim: BackwardRule<"broadcast_in_dim"> = ([g], { inputs: [x], params: { shape, dims } }) => {
  if (!g || !x) return [null];
  const kept = dims.filter((dim, i) => x.shape[i] === dimOf(shape, dim));
  const axes = shape.map((_, axis) => axis).filter((axis) => !kept.includes(axis));
  return [reshapeTo(sum(g, { axes }), x.shape)];
};

/** Puts the elements back where they came from, zeros between them where the slice had strides. */
export const slice: BackwardRule<"slice"> = ([g], { inputs: [x], params: { start, strides } }) => {
  if (!g || !x) return [null];
  const interior = strides.map((stride) => stride - 1);
  const high = x.shape.map((size, axis) => {
    const count = g.dim(axis);
    const covered = count === 0 ? 0 : (count - 1) * dimOf(strides, axis) + 1;
    return size - dimOf(start, axis) - covered;
  });
  return [emit1("pad", [g], { low: start, high, interior })];
};

/** Picks the elements out again. */
export const pad: BackwardRule<"pad"> = ([g], { inputs: [x], params: { low, interior } }) => {
  if (!g || !x) return [null];
  const strides = interior.map((n) => n + 1);
  const limit = x.shape.map((size, axis) =>
    size === 0 ? dimOf(low, axis) : dimOf(low, axis) + (size - 1) * dimOf(strides, axis) + 1,
  );
  return [emit1("slice", [g], { start: low, limit, strides })];
};

export const concatenate: BackwardRule<"concatenate"> = ([g], { inputs, params: { axis } }) =>
  g
    ? split(
        g,
        inputs.map((x) => x.dim(axis)),
        axis,
      )
    : inputs.map(() => null);
