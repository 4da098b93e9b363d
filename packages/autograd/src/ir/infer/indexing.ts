/** Result types of gather and scatter_add. */
import { ShapeError } from "../../errors.ts";
import type { InferRule } from "../infer.ts";
import { formatType, sameShape, type TensorType } from "../tensor-type.ts";
import { formatShape, requireAxis, requireDType, requireNumeric, requireSameDType, three, two } from "./check.ts";

function gathered(operand: TensorType, indices: TensorType, axis: number): readonly number[] {
  return [...operand.shape.slice(0, axis), ...indices.shape, ...operand.shape.slice(axis + 1)];
}

export const gather: InferRule<"gather"> = (inputs, { axis }) => {
  const [operand, indices] = two("gather", inputs);
  requireAxis("gather", operand, axis);
  requireDType("gather", "indices", indices, "int32");
  return [{ dtype: operand.dtype, shape: gathered(operand, indices, axis) }];
};

export const scatter_add: InferRule<"scatter_add"> = (inputs, { axis }) => {
  const [operand, indices, updates] = three("scatter_add", inputs);
  requireAxis("scatter_add", operand, axis);
  requireNumeric("scatter_add", operand);
  requireDType("scatter_add", "indices", indices, "int32");
  requireSameDType("scatter_add", [operand, updates]);
  const expected = gathered(operand, indices, axis);
  if (!sameShape(updates.shape, expected)) {
    throw new ShapeError(
      `scatter_add: updates for ${formatType(operand)} at ${formatType(indices)} must have shape ${formatShape(expected)}, got ${formatType(updates)}`,
    );
  }
  return [operand];
};
