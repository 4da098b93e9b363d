/** Smooth elementwise nonlinearities. Each takes and returns a tensor of any shape. */
import { add, exp, greaterEqual, log1p, logistic, mul, neg, tanh, where } from "../ops/elementwise.ts";
import { lift } from "../ops/lift.ts";
import type { Operand, Tracer } from "../trace/tracer.ts";

/** x * logistic(x), also called swish. */
export function silu(operand: Operand): Tracer {
  const x = lift("silu", operand);
  return mul(x, logistic(x));
}

/**
 * log(1 + exp(x)), without overflow and without cancellation: x + log1p(exp(-x)) where x >= 0, else log1p(exp(x)).
 * Derivatives of every order are right, at 0 too.
 */
export function softplus(operand: Operand): Tracer {
  const x = lift("softplus", operand);
  const positive = greaterEqual(x, 0);
  return add(where(positive, x, 0), log1p(exp(where(positive, neg(x), x))));
}

/**
 * The Gaussian error linear unit in its tanh form, x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))): within 5e-4 of the
 * exact one. D. Hendrycks and K. Gimpel, "Gaussian error linear units" (2016).
 */
export function gelu(operand: Operand): Tracer {
  const x = lift("gelu", operand);
  const inner = mul(mul(x, Math.sqrt(2 / Math.PI)), add(mul(mul(x, x), 0.044715), 1));
  return mul(mul(x, 0.5), add(tanh(inner), 1));
}
