/** Result types of the reductions. */
import { ShapeError } from "../../errors.ts";
import type { InferRule } from "../infer.ts";
import { formatType, type TensorType } from "../tensor-type.ts";
import { one, requireAxes, requireNumeric } from "./check.ts";

function without(type: TensorType, axes: readonly number[]): readonly number[] {
  return type.shape.filter((_, axis) => !axes.includes(axis));
}

function requireNonEmpty(op: string, type: TensorType, axes: readonly number[]): void {
  if (axes.some((axis) => type.shape[axis] === 0)) {
    throw new ShapeError(`${op}: nothing to choose from, ${formatType(type)} is empty along axes [${axes.join(",")}]`);
  }
}

export const reduce_sum: InferRule<"reduce_sum"> = (inputs, { axes }) => {
  const x = one("reduce_sum", inputs);
  requireNumeric("reduce_sum", x);
  requireAxes("reduce_sum", x, axes);
  return [{ dtype: x.dtype, shape: without(x, axes) }];
};

export const reduce_max: InferRule<"reduce_max"> = (inputs, { axes }) => {
  const x = one("reduce_max", inputs);
  requireNumeric("reduce_max", x);
  requireAxes("reduce_max", x, axes);
  requireNonEmpty("reduce_max", x, axes);
  return [{ dtype: x.dtype, shape: without(x, axes) }];
};

export const argmax: InferRule<"argmax"> = (inputs, { axis }) => {
  const x = one("argmax", inputs);
  requireNumeric("argmax", x);
  requireAxes("argmax", x, [axis]);
  requireNonEmpty("argmax", x, [axis]);
  return [{ dtype: "int32", shape: without(x, [axis]) }];
};
