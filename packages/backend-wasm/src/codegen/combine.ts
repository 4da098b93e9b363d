/** How reductions combine lanes. */
import type { DType, ReduceKernel } from "@banach/autograd/backend";
import { type Expr, f32x4, i32x4, v128 } from "../wasm/index.ts";
import { constant } from "./emitter.ts";

/**
 * What a reduction does in each lane. The largest of numbers that are not negative is that of their bits as integers, a
 * NaN above all: one instruction, where a float's maximum takes eight, to find NaNs and the sign of zero.
 */
export type LaneCombine = ReduceKernel["combine"] | "largest-magnitude";

export function laneCombine({ combine, value }: ReduceKernel): LaneCombine {
  const magnitude = value.kind === "apply" && value.operation === "abs" && value.dtype === "float32";
  return combine === "max" && magnitude ? "largest-magnitude" : combine;
}

export function identity(combine: LaneCombine, dtype: DType): Expr<"v128"> {
  if (combine === "sum" || dtype === "bool" || dtype === "uint32") return constant(dtype, 0);
  return dtype === "float32" ? constant(dtype, -Infinity) : constant(dtype, -(2 ** 31));
}

export function combined(combine: LaneCombine, dtype: DType, a: Expr<"v128">, b: Expr<"v128">): Expr<"v128"> {
  if (dtype === "bool") return v128.or(a, b);
  if (combine === "sum") return dtype === "float32" ? f32x4.add(a, b) : i32x4.add(a, b);
  if (combine === "largest-magnitude") return i32x4.max_s(a, b);
  if (dtype === "float32") return f32x4.max(a, b);
  return dtype === "int32" ? i32x4.max_s(a, b) : i32x4.max_u(a, b);
}

/** The first element wins; a larger one wins; a NaN wins over everything but a NaN. */
export function beats(dtype: DType, x: Expr<"v128">, best: Expr<"v128">, position: Expr<"v128">): Expr<"v128"> {
  const first = i32x4.eq(position, i32x4.const(0, 0, 0, 0));
  if (dtype !== "float32") return v128.or(first, dtype === "int32" ? i32x4.gt_s(x, best) : i32x4.gt_u(x, best));
  const nan = v128.and(f32x4.ne(x, x), f32x4.eq(best, best));
  return v128.or(first, v128.or(f32x4.gt(x, best), nan));
}
