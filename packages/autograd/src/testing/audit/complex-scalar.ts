/** Functions of one complex number, accurate for imaginary parts as small as 1e-200. They refuse where they are not holomorphic. */
import { BanachError } from "../../errors.ts";

/** The complex step does not apply here; the message says why. */
export class ComplexStepRefused extends BanachError {}

/** Real and imaginary part. */
export type Z = readonly [number, number];

export type ComplexFunction = (x: number, y: number) => Z;

function refuseAt(holds: boolean, what: string, y: number): void {
  if (holds && y !== 0) throw new ComplexStepRefused(`${what} has no complex path`);
}

export const multiply = ([a, b]: Z, [c, d]: Z): Z => [a * c - b * d, a * d + b * c];

export function divide([a, b]: Z, [c, d]: Z): Z {
  // With d tiny next to c, the real division first keeps both parts accurate.
  if (Math.abs(d) <= Math.abs(c) || c === 0 || Number.isNaN(c)) {
    if (c === 0 && d === 0) return [a / c, b === 0 ? 0 : NaN];
    const ratio = d / c;
    const scale = c + d * ratio;
    return [(a + b * ratio) / scale, (b - a * ratio) / scale];
  }
  const ratio = c / d;
  const scale = c * ratio + d;
  return [(a * ratio + b) / scale, (b * ratio - a) / scale];
}

export const exp: ComplexFunction = (x, y) => [Math.exp(x) * Math.cos(y), Math.exp(x) * Math.sin(y)];

export const log: ComplexFunction = (x, y) => {
  refuseAt(x === 0, "log at 0", y);
  if (y === 0) return [Math.log(x), 0];
  if (x < 0) return [NaN, NaN];
  return [Math.log(Math.hypot(x, y)), Math.atan2(y, x)];
};

export const log1p: ComplexFunction = (x, y) =>
  y === 0 ? [Math.log1p(x), 0] : [0.5 * Math.log1p(x * (2 + x) + y * y), Math.atan2(y, 1 + x)];

export const expm1: ComplexFunction = (x, y) => [
  Math.expm1(x) * Math.cos(y) - 2 * Math.sin(y / 2) ** 2,
  Math.exp(x) * Math.sin(y),
];

export const sin: ComplexFunction = (x, y) => [Math.sin(x) * Math.cosh(y), Math.cos(x) * Math.sinh(y)];
export const cos: ComplexFunction = (x, y) => [Math.cos(x) * Math.cosh(y), -Math.sin(x) * Math.sinh(y)];

/** With 1 / cosh^2 for 1 - tanh^2, which cancels in the tails. */
export const tanh: ComplexFunction = (x, y) => {
  const [t, u] = [Math.tanh(x), Math.tan(y)];
  const scale = 1 + (t * u) ** 2;
  return [(t * (1 + u * u)) / scale, u / Math.cosh(x) ** 2 / scale];
};

/** exp of -|x| can neither overflow nor cancel. */
export const logistic: ComplexFunction = (x, y) => {
  const e = exp(-Math.abs(x), x < 0 ? y : -y);
  return divide(x < 0 ? e : [1, 0], [1 + e[0], e[1]]);
};

export const sqrt: ComplexFunction = (x, y) => {
  refuseAt(x === 0, "sqrt at 0", y);
  if (y === 0 || x < 0) return [Math.sqrt(x), x < 0 ? NaN : 0];
  const root = Math.sqrt((Math.hypot(x, y) + x) / 2);
  return [root, y / (2 * root)];
};

export const rsqrt: ComplexFunction = (x, y) => divide([1, 0], sqrt(x, y));

export const neg: ComplexFunction = (x, y) => [-x, -y];

/** z or -z, by the sign of the real part. */
export const abs: ComplexFunction = (x, y) => {
  refuseAt(x === 0, "abs at 0", y);
  return x < 0 ? [-x, -y] : [Math.abs(x), y];
};

/** Piecewise constant: no imaginary part, and no value at a jump. */
export const sign: ComplexFunction = (x, y) => {
  refuseAt(x === 0, "sign at 0", y);
  return [Math.sign(x), 0];
};

export const floor: ComplexFunction = (x, y) => {
  refuseAt(Number.isInteger(x), "floor at an integer", y);
  return [Math.floor(x), 0];
};

function naturalPower(base: Z, exponent: number): Z {
  let result: Z = [1, 0];
  let square = base;
  for (let n = exponent; n > 0; n = Math.floor(n / 2)) {
    if (n % 2 === 1) result = multiply(result, square);
    square = multiply(square, square);
  }
  return result;
}

export function pow(a: Z, b: Z): Z {
  if (a[1] === 0 && b[1] === 0) return [a[0] ** b[0], 0];
  if (a[0] > 0) return exp(...multiply(b, log(...a)));
  const whole = Number.isInteger(b[0]) && b[1] === 0;
  if (!whole) {
    if (a[0] === 0) throw new ComplexStepRefused("pow at base 0 has no complex path for this exponent");
    return [NaN, NaN];
  }
  const power = naturalPower(a, Math.abs(b[0]));
  return b[0] < 0 ? divide([1, 0], power) : power;
}

/** The one whose real part is larger (`wanted` 1) or smaller (-1). Refuses at a tie of different numbers. */
export function extreme(a: Z, b: Z, wanted: 1 | -1): Z {
  if (Number.isNaN(a[0]) || Number.isNaN(b[0])) return [NaN, NaN];
  if (a[0] === b[0] && a[1] !== b[1]) throw new ComplexStepRefused("max or min at a tie has no complex path");
  return (a[0] - b[0]) * wanted >= 0 ? a : b;
}
