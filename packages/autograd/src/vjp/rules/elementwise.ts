/** Vector-Jacobian products of the elementwise primitives: cotangent times the conjugate-free derivative. */
import type { PrimitiveName } from "../../ir/primitives.ts";
import { isFloat } from "../../ir/tensor-type.ts";
import * as ops from "../../ops/elementwise.ts";
import { astype } from "../../ops/lift.ts";
import type { Tracer } from "../../trace/tracer.ts";
import type { BackwardRule, VjpContext, VjpTable } from "../rule.ts";

const { add, cos, div, equal, exp, greater, log, mul, neg, pow, sign, sin, square, sub, where } = ops;

/** A rule for one operand: (cotangent, x, f(x)) -> cotangent of x. */
export function unary<P extends PrimitiveName>(rule: (g: Tracer, x: Tracer, y: Tracer) => Tracer): BackwardRule<P> {
  return ([g], { inputs: [x], outputs: [y] }) => [g && x && y ? rule(g, x, y) : null];
}

/** A rule for two operands: each side is computed only if it is wanted. */
export function binary<P extends PrimitiveName>(
  left: (g: Tracer, a: Tracer, b: Tracer, y: Tracer) => Tracer,
  right: (g: Tracer, a: Tracer, b: Tracer, y: Tracer) => Tracer,
): BackwardRule<P> {
  return ([g], { inputs: [a, b], outputs: [y], needs }: VjpContext<P>) =>
    g && a && b && y
      ? [needs[0] === true ? left(g, a, b, y) : null, needs[1] === true ? right(g, a, b, y) : null]
      : [null, null];
}

/** One where `wins` holds, one half at a tie: the gradient of max and min. */
function share(g: Tracer, wins: Tracer, ties: Tracer): Tracer {
  return where(ties, mul(g, 0.5), where(wins, g, 0));
}

type Differentiable =
  | ("neg" | "abs" | "exp" | "log" | "log1p" | "expm1" | "sin" | "cos" | "tanh" | "logistic" | "sqrt" | "rsqrt")
  | ("add" | "sub" | "mul" | "div" | "max" | "min" | "pow" | "select" | "convert_element_type");

export const rules: Pick<VjpTable, Differentiable> = {
  neg: unary((g) => neg(g)),
  abs: unary((g, x) => mul(g, sign(x))),
  exp: unary((g, _, y) => mul(g, y)),
  log: unary((g, x) => div(g, x)),
  log1p: unary((g, x) => div(g, add(x, 1))),
  // exp(x), not y + 1: at large negative x the sum has lost every digit.
  expm1: unary((g, x) => mul(g, exp(x))),
  sin: unary((g, x) => mul(g, cos(x))),
  cos: unary((g, x) => neg(mul(g, sin(x)))),
  tanh: unary((g, _, y) => mul(g, sub(1, square(y)))),
  logistic: unary((g, _, y) => mul(g, mul(y, sub(1, y)))),
  sqrt: unary((g, _, y) => div(mul(g, 0.5), y)),
  // y^3 = x^(-3/2) without another root.
  rsqrt: unary((g, _, y) => mul(mul(g, -0.5), mul(y, square(y)))),
  add: binary(
    (g) => g,
    (g) => g,
  ),
  sub: binary(
    (g) => g,
    (g) => neg(g),
  ),
  mul: binary(
    (g, _, b) => mul(g, b),
    (g, a) => mul(g, a),
  ),
  div: binary(
    (g, _, b) => div(g, b),
    (g, _, b, y) => neg(div(mul(g, y), b)),
  ),
  max: binary(
    (g, a, b) => share(g, greater(a, b), equal(a, b)),
    (g, a, b) => share(g, greater(b, a), equal(a, b)),
  ),
  min: binary(
    (g, a, b) => share(g, greater(b, a), equal(a, b)),
    (g, a, b) => share(g, greater(a, b), equal(a, b)),
  ),
  pow: binary(
    // At b = 0 the derivative in a is 0 even where a^(b-1) is infinite.
    (g, a, b) => where(equal(b, 0), 0, mul(g, mul(b, pow(a, sub(b, 1))))),
    // a^b log a tends to 0 as a does; log 0 would make it NaN. A negative base has no real derivative in b.
    (g, a, _, y) => where(equal(a, 0), 0, mul(g, mul(y, log(where(equal(a, 0), 1, a))))),
  ),
  select: ([g], { inputs: [predicate], needs }) =>
    g && predicate
      ? [null, needs[1] === true ? where(predicate, g, 0) : null, needs[2] === true ? where(predicate, 0, g) : null]
      : [null, null, null],
  convert_element_type: unary((g, x) => (isFloat(x.dtype) ? astype(g, x.dtype) : g)),
};
