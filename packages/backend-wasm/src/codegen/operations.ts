/** Each scalar operation on lanes of each dtype. */
import type { Apply, CompareDirection, DType } from "@banach/autograd/backend";
import {
  divideInt,
  divideUint,
  floatToInt,
  floatToUint,
  intToFloat,
  type LaneMath,
  uintToFloat,
} from "../math/index.ts";
import { type Expr, f32x4, type FunctionBuilder, i32x4, v128 } from "../wasm/index.ts";

type V = Expr<"v128">;

const ZERO = (): V => i32x4.const(0, 0, 0, 0);

/** What the lanes of a node are, given those of its operands, each of which is in a local. */
export function applyOperation(f: FunctionBuilder, math: LaneMath, node: Apply, args: readonly V[]): V {
  const [a, b, c] = args;
  const from = node.args[0]?.dtype ?? node.dtype;
  if (a === undefined) throw new RangeError(`${node.operation} needs an operand`);
  if (node.operation === "select") return v128.bitselect(b ?? a, c ?? a, a);
  if (node.operation === "convert_element_type") return convert(f, a, from, node.dtype);
  if (node.operation === "not") return v128.not(a);
  if (b === undefined) return unary(f, math, node.operation, from, a);
  if (node.operation === "compare") return compare(node.direction ?? "eq", from, a, b);
  return binary(f, math, node.operation, from, a, b);
}

function unary(f: FunctionBuilder, math: LaneMath, operation: Apply["operation"], dtype: DType, x: V): V {
  if (dtype !== "float32") return integerUnary(operation, dtype, x);
  switch (operation) {
    case "is_finite":
      return math.isFinite(f, x);
    case "neg":
    case "abs":
    case "sign":
    case "floor":
    case "exp":
    case "log":
    case "log1p":
    case "expm1":
    case "sin":
    case "cos":
    case "tanh":
    case "logistic":
    case "sqrt":
    case "rsqrt":
      return math[operation](f, x);
    default:
      throw new RangeError(`${operation} does not take one operand`);
  }
}

function integerUnary(operation: Apply["operation"], dtype: DType, x: V): V {
  switch (operation) {
    case "neg":
      return i32x4.neg(x);
    case "abs":
      return dtype === "uint32" ? x : i32x4.abs(x);
    case "sign": {
      const one = i32x4.const(1, 1, 1, 1);
      const positive = dtype === "uint32" ? i32x4.ne(x, ZERO()) : i32x4.gt_s(x, ZERO());
      const negative = dtype === "uint32" ? ZERO() : i32x4.shr_s(x, 31);
      return v128.or(v128.and(positive, one), negative);
    }
    default:
      throw new RangeError(`${operation} needs a float operand, got ${dtype}`);
  }
}

function binary(f: FunctionBuilder, math: LaneMath, operation: Apply["operation"], dtype: DType, a: V, b: V): V {
  if (operation === "and") return v128.and(a, b);
  if (operation === "or") return v128.or(a, b);
  if (dtype === "float32") return floatBinary(f, math, operation, a, b);
  const signed = dtype === "int32";
  switch (operation) {
    case "add":
      return i32x4.add(a, b);
    case "sub":
      return i32x4.sub(a, b);
    case "mul":
      return i32x4.mul(a, b);
    case "div":
      return signed ? divideInt(f, a, b) : divideUint(f, a, b);
    case "max":
      return signed ? i32x4.max_s(a, b) : i32x4.max_u(a, b);
    case "min":
      return signed ? i32x4.min_s(a, b) : i32x4.min_u(a, b);
    default:
      throw new RangeError(`${operation} does not take two operands of ${dtype}`);
  }
}

function floatBinary(f: FunctionBuilder, math: LaneMath, operation: Apply["operation"], a: V, b: V): V {
  switch (operation) {
    case "add":
      return f32x4.add(a, b);
    case "sub":
      return f32x4.sub(a, b);
    case "mul":
      return f32x4.mul(a, b);
    case "div":
    case "max":
    case "min":
    case "pow":
      return math[operation](f, a, b);
    default:
      throw new RangeError(`${operation} does not take two operands`);
  }
}

function compare(direction: CompareDirection, dtype: DType, a: V, b: V): V {
  if (dtype === "float32") return f32x4[direction](a, b);
  switch (direction) {
    case "eq":
    case "ne":
      return i32x4[direction](a, b);
    default:
      // As masks, true is all ones: larger than false only without a sign.
      return dtype === "int32" ? i32x4[`${direction}_s`](a, b) : i32x4[`${direction}_u`](a, b);
  }
}

function convert(f: FunctionBuilder, x: V, from: DType, to: DType): V {
  if (from === to) return x;
  if (to === "bool") return from === "float32" ? f32x4.ne(x, ZERO()) : i32x4.ne(x, ZERO());
  if (from === "bool") {
    const one = to === "float32" ? f32x4.const(1, 1, 1, 1) : i32x4.const(1, 1, 1, 1);
    return v128.and(x, one);
  }
  if (to === "float32") return from === "int32" ? intToFloat(f, x) : uintToFloat(f, x);
  if (from === "float32") return to === "int32" ? floatToInt(f, x) : floatToUint(f, x);
  // int32 and uint32 are the same bits; the reference wraps too.
  return x;
}
