/** New tensors from nothing, from constants and from keys. */
import type { DType, Shape } from "../ir/tensor-type.ts";
import { emit1, literalTracer } from "../trace/builder.ts";
import type { Operand, Tracer } from "../trace/tracer.ts";
import { broadcastTo, lift } from "./lift.ts";

/** Every element `value`. */
export function full(shape: Shape, value: number | boolean, dtype: DType = "float32"): Tracer {
  return broadcastTo(literalTracer(dtype, value), shape);
}

export const zeros = (shape: Shape, dtype: DType = "float32"): Tracer => full(shape, 0, dtype);
export const ones = (shape: Shape, dtype: DType = "float32"): Tracer => full(shape, 1, dtype);

/** Zeros of the type of x. */
export function zerosLike(operand: Operand): Tracer {
  const x = lift("zerosLike", operand);
  return zeros(x.shape, x.dtype);
}

/** Ones of the type of x. */
export function onesLike(operand: Operand): Tracer {
  const x = lift("onesLike", operand);
  return ones(x.shape, x.dtype);
}

/** Each element is its index along `axis`. */
export function iota(shape: Shape, axis = 0, dtype: DType = "int32"): Tracer {
  return emit1("iota", [], { type: { dtype, shape }, axis });
}

/** 0, 1, ..., size - 1. */
export const arange = (size: number, dtype: DType = "int32"): Tracer => iota([size], 0, dtype);

/** An existing host or device array as a tensor of the open trace. */
export const constant = (array: Operand): Tracer => lift("constant", array);
