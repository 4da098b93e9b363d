/** Elementwise operations. Operands are broadcast and promoted; floats are needed where the mathematics is real. */
import type { CompareDirection, NoParams, PrimitiveName, PrimitiveParams } from "../ir/primitives.ts";
import { isFloat } from "../ir/tensor-type.ts";
import { emit1 } from "../trace/builder.ts";
import type { Operand, Tracer } from "../trace/tracer.ts";
import { astype, broadcastShapes, broadcastTo, lift, unifyPair } from "./lift.ts";

type Plain = {
  [P in PrimitiveName]: PrimitiveParams[P] extends NoParams ? P : never;
}[PrimitiveName];

function unary(primitive: Plain, x: Operand): Tracer {
  return emit1(primitive, [lift(primitive, x)], {});
}

/** Integers and bools become float32 first. */
function realUnary(primitive: Plain, operand: Operand): Tracer {
  const x = lift(primitive, operand);
  return emit1(primitive, [isFloat(x.dtype) ? x : astype(x, "float32")], {});
}

function binary(primitive: Plain, a: Operand, b: Operand): Tracer {
  return emit1(primitive, unifyPair(primitive, a, b), {});
}

export const neg = (x: Operand): Tracer => unary("neg", x);
export const abs = (x: Operand): Tracer => unary("abs", x);
/** -1, 0 or 1; NaN for NaN. */
export const sign = (x: Operand): Tracer => unary("sign", x);
export const floor = (x: Operand): Tracer => realUnary("floor", x);
export const exp = (x: Operand): Tracer => realUnary("exp", x);
export const log = (x: Operand): Tracer => realUnary("log", x);
export const log1p = (x: Operand): Tracer => realUnary("log1p", x);
export const expm1 = (x: Operand): Tracer => realUnary("expm1", x);
export const sin = (x: Operand): Tracer => realUnary("sin", x);
export const cos = (x: Operand): Tracer => realUnary("cos", x);
export const tanh = (x: Operand): Tracer => realUnary("tanh", x);
/** 1 / (1 + exp(-x)), the logistic sigmoid. */
export const logistic = (x: Operand): Tracer => realUnary("logistic", x);
export const sqrt = (x: Operand): Tracer => realUnary("sqrt", x);
/** 1 / sqrt(x). */
export const rsqrt = (x: Operand): Tracer => realUnary("rsqrt", x);
/** bool: neither NaN nor infinite. */
export const isFinite = (x: Operand): Tracer => realUnary("is_finite", x);
export const not = (x: Operand): Tracer => unary("not", x);

export const add = (a: Operand, b: Operand): Tracer => binary("add", a, b);
export const sub = (a: Operand, b: Operand): Tracer => binary("sub", a, b);
export const mul = (a: Operand, b: Operand): Tracer => binary("mul", a, b);
/** Integers truncate towards zero. */
export const div = (a: Operand, b: Operand): Tracer => binary("div", a, b);
/** The larger; NaN if either is. Ties share the gradient equally. */
export const maximum = (a: Operand, b: Operand): Tracer => binary("max", a, b);
/** The smaller; NaN if either is. Ties share the gradient equally. */
export const minimum = (a: Operand, b: Operand): Tracer => binary("min", a, b);
export const pow = (a: Operand, b: Operand): Tracer => binary("pow", a, b);
export const and = (a: Operand, b: Operand): Tracer => binary("and", a, b);
export const or = (a: Operand, b: Operand): Tracer => binary("or", a, b);

function comparison(direction: CompareDirection, a: Operand, b: Operand): Tracer {
  return emit1("compare", unifyPair(direction, a, b), { direction });
}

export const equal = (a: Operand, b: Operand): Tracer => comparison("eq", a, b);
export const notEqual = (a: Operand, b: Operand): Tracer => comparison("ne", a, b);
export const less = (a: Operand, b: Operand): Tracer => comparison("lt", a, b);
export const lessEqual = (a: Operand, b: Operand): Tracer => comparison("le", a, b);
export const greater = (a: Operand, b: Operand): Tracer => comparison("gt", a, b);
export const greaterEqual = (a: Operand, b: Operand): Tracer => comparison("ge", a, b);

/** Elementwise choice: `onTrue` where `predicate` (bool) holds, else `onFalse`. */
export function where(predicate: Operand, onTrue: Operand, onFalse: Operand): Tracer {
  const [a, b] = unifyPair("where", onTrue, onFalse);
  const [p, shaped] = unifyShapes(lift("where", predicate), a);
  const [, other] = unifyShapes(p, b);
  return emit1("select", [p, shaped, other], {});
}

/** Broadcasts two tensors to one shape without promoting them. */
function unifyShapes(predicate: Tracer, x: Tracer): readonly [Tracer, Tracer] {
  const shape = broadcastShapes("where", predicate.type, x.type);
  return [broadcastTo(predicate, shape), broadcastTo(x, shape)];
}

export const square = (x: Operand): Tracer => {
  const value = lift("square", x);
  return mul(value, value);
};
export const reciprocal = (x: Operand): Tracer => div(1, x);
/** max(x, 0). */
export const relu = (x: Operand): Tracer => maximum(x, 0);
/** Limits x to [low, high]. */
export const clip = (x: Operand, low: Operand, high: Operand): Tracer => minimum(maximum(x, low), high);
