/** Result types of iota and random_bits. */
import { ShapeError } from "../../errors.ts";
import type { InferRule } from "../infer.ts";
import { formatType, tensorType } from "../tensor-type.ts";
import { one, requireAxis, requireDType, requireNumeric } from "./check.ts";

export const iota: InferRule<"iota"> = (inputs, { type, axis }) => {
  if (inputs.length !== 0) throw new ShapeError(`iota: takes no operand, got ${inputs.length}`);
  requireNumeric("iota", type);
  requireAxis("iota", type, axis);
  return [tensorType(type.dtype, type.shape)];
};

export const random_bits: InferRule<"random_bits"> = (inputs, { shape }) => {
  const key = one("random_bits", inputs);
  requireDType("random_bits", "the key", key, "uint32");
  if (key.shape.length !== 1 || key.shape[0] !== 2) {
    throw new ShapeError(`random_bits: a key is uint32[2], got ${formatType(key)}; make one with key(seed)`);
  }
  return [tensorType("uint32", shape)];
};
