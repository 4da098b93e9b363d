/** Indexing by integer tensors. */
import { DTypeError } from "../errors.ts";
import { type DType, formatType, isInteger } from "../ir/tensor-type.ts";
import { emit1 } from "../trace/builder.ts";
import type { Operand, Tracer } from "../trace/tracer.ts";
import { iota } from "./creation.ts";
import { equal, where } from "./elementwise.ts";
import { astype, broadcastTo, lift, normalizeAxis, promoteDTypes } from "./lift.ts";
import { expandDims } from "./movement.ts";
import { sum } from "./reduction.ts";

function indexTensor(op: string, operand: Operand): Tracer {
  const indices = lift(op, operand, "int32");
  if (!isInteger(indices.dtype))
    throw new DTypeError(`${op}: indices must be integers, got ${formatType(indices.type)}`);
  return astype(indices, "int32");
}

/** Elements of one axis by index: that axis is replaced by the shape of `indices`. Out of range gives NaN (0 for integers). */
export function take(operand: Operand, indices: Operand, axis = 0): Tracer {
  const x = lift("take", operand);
  return emit1("gather", [x, indexTensor("take", indices)], { axis: normalizeAxis("take", x, axis) });
}

/** `operand` with `updates` added at `indices` of one axis, repeated indices accumulating; out of range is dropped. */
export function scatterAdd(operand: Operand, indices: Operand, updates: Operand, axis = 0): Tracer {
  const x = lift("scatterAdd", operand);
  const values = lift("scatterAdd", updates, x.dtype);
  const at = normalizeAxis("scatterAdd", x, axis);
  const positions = indexTensor("scatterAdd", indices);
  const dtype = promoteDTypes("scatterAdd", x.dtype, values.dtype);
  const shape = [...x.shape.slice(0, at), ...positions.shape, ...x.shape.slice(at + 1)];
  return emit1("scatter_add", [astype(x, dtype), positions, broadcastTo(astype(values, dtype), shape)], { axis: at });
}

/** 1 where the index equals the position on a new last axis of size `depth`, else 0. */
export function oneHot(indices: Operand, depth: number, dtype: DType = "float32"): Tracer {
  const positions = indexTensor("oneHot", indices);
  const shape = [...positions.shape, depth];
  return astype(equal(expandDims(positions, -1), iota(shape, shape.length - 1)), dtype);
}

/** One element per row of the last axis, chosen by `indices` of the leading shape: out of range gives 0. */
export function pick(operand: Operand, indices: Operand): Tracer {
  const x = lift("pick", operand);
  const chosen = equal(expandDims(indexTensor("pick", indices), -1), iota(x.shape, x.rank - 1));
  return sum(where(chosen, x, 0), { axes: -1 });
}
