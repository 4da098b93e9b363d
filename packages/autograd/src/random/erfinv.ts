/** The inverse error function, by which uniform numbers become normal ones. */
import { add, less, log, mul, neg, sqrt, sub, where } from "../ops/elementwise.ts";
import type { Tracer } from "../trace/tracer.ts";

/** Highest power first, in w - 2.5, for w < 5. */
const CENTRAL: readonly number[] = [
  2.81022636e-8, 3.43273939e-7, -3.5233877e-6, -4.39150654e-6, 0.00021858087, -0.00125372503, -0.00417768164,
  0.246640727, 1.50140941,
];

/** Highest power first, in sqrt(w) - 3, for w >= 5. */
const TAIL: readonly number[] = [
  -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613, 0.00943887047,
  1.00167406, 2.83297682,
];

function polynomial(coefficients: readonly number[], x: Tracer): Tracer {
  const [leading = 0, second = 0, ...rest] = coefficients;
  const start = add(mul(x, leading), second);
  return rest.reduce((sum, coefficient) => add(mul(sum, x), coefficient), start);
}

/**
 * erfinv(x) for x in (-1, 1), of any shape. Relative error about 4e-7 in every dtype: the single-precision polynomial
 * of M. Giles, "Approximating the erfinv function" (GPU Computing Gems, 2010), which needs only log and sqrt.
 */
export function erfinv(x: Tracer): Tracer {
  const w = neg(log(mul(sub(1, x), add(1, x))));
  const central = polynomial(CENTRAL, sub(w, 2.5));
  const tail = polynomial(TAIL, sub(sqrt(w), 3));
  return mul(where(less(w, 5), central, tail), x);
}
