/** How far a float32 kernel may be from the float64 reference: the total table of budgets. */
import type { Equation } from "../../ir/graph.ts";
import type { PrimitiveName } from "../../ir/primitives.ts";
import { sizeOf } from "../../ir/tensor-type.ts";

/** Absolute tolerance of one element, from the reference value and the operands at its position. */
export type ElementTolerance = (reference: number, operands: readonly number[]) => number;

export type Budget =
  /** Every bit, but for the payload of a NaN; denormals may be zero. */
  | { readonly kind: "bits" }
  /** The float32 nearest to the reference; the sign of a zero is free, and denormals may be zero. */
  | { readonly kind: "rounded" }
  | { readonly kind: "elementwise"; readonly tolerance: ElementTolerance }
  /** gamma_n times the same computation on absolute values, n the number of roundings on the way to an element. */
  | { readonly kind: "accumulated"; readonly roundings: (equation: Equation) => number }
  /** So many units in the last place of the largest element of the result, per step. */
  | { readonly kind: "composite"; readonly steps: (equation: Equation) => number };

export type Budgets = { readonly [P in PrimitiveName]: Budget };

/** Distance from |x| to the next float32, at least that of the smallest normal number. */
export function ulp(x: number): number {
  const exponent = Math.floor(Math.log2(Math.abs(x)));
  return 2 ** (Math.min(Math.max(exponent, -126), 127) - 23);
}

/** n u / (1 - n u) for float32: the bound of n roundings (Higham, Accuracy and Stability, 3.1). */
export function gamma(n: number): number {
  const nu = n * 2 ** -24;
  return nu / (1 - nu);
}

const bits: Budget = { kind: "bits" };
const rounded: Budget = { kind: "rounded" };

/** Units in the last place of the reference value. */
export const ulps = (count: number): Budget => ({ kind: "elementwise", tolerance: (y) => count * ulp(y) });

/** An absolute error where |x| is at most `limit`, any value of the range beyond. */
export const absoluteWithin = (error: number, limit: number): Budget => ({
  kind: "elementwise",
  tolerance: (_, [x = 0]) => (Math.abs(x) <= limit ? error : 2),
});

const exp: Budget = { kind: "elementwise", tolerance: (y, [x = 0]) => (3 + 2 * Math.min(Math.abs(x), 128)) * ulp(y) };
const log: Budget = {
  kind: "elementwise",
  tolerance: (y, [x = 0]) => (x >= 0.5 && x <= 2 ? 2 ** -21 : 3 * ulp(y)),
};

function axesSize(equation: Equation, axes: readonly number[]): number {
  const shape = equation.inputs[0]?.type.shape ?? [];
  return axes.reduce((n, axis) => n * (shape[axis] ?? 1), 1);
}

function accumulated<P extends PrimitiveName>(
  primitive: P,
  roundings: (equation: Extract<Equation, { readonly primitive: P }>) => number,
): Budget {
  const isOwn = (equation: Equation): equation is Extract<Equation, { readonly primitive: P }> =>
    equation.primitive === primitive;
  return { kind: "accumulated", roundings: (equation) => (isOwn(equation) ? roundings(equation) : 0) };
}

const steps = (equation: Equation): number => {
  if (equation.primitive === "scan") return equation.params.length;
  return equation.primitive === "while" ? equation.params.maxSteps : 1;
};
const composite: Budget = { kind: "composite", steps };

/** What WASM kernels must keep to; WGSL's precision table allows more for sin and cos, see `wgslBudgets`. */
export const strictBudgets: Budgets = {
  neg: rounded,
  abs: rounded,
  sign: rounded,
  floor: rounded,
  exp,
  log,
  log1p: ulps(4),
  expm1: ulps(4),
  sin: absoluteWithin(2 ** -21, 1024),
  cos: absoluteWithin(2 ** -21, 1024),
  tanh: ulps(4),
  logistic: ulps(4),
  sqrt: ulps(2),
  rsqrt: ulps(2),
  is_finite: bits,
  not: bits,
  convert_element_type: rounded,
  add: rounded,
  sub: rounded,
  mul: rounded,
  div: ulps(2.5),
  max: rounded,
  min: rounded,
  pow: ulps(16),
  and: bits,
  or: bits,
  compare: bits,
  select: bits,
  reduce_sum: accumulated("reduce_sum", (equation) => axesSize(equation, equation.params.axes)),
  reduce_max: rounded,
  argmax: bits,
  dot_general: accumulated("dot_general", (equation) => axesSize(equation, equation.params.contracting[0]) + 1),
  linear_recurrence: accumulated("linear_recurrence", (equation) => 2 * axesSize(equation, [equation.params.axis])),
  reshape: bits,
  transpose: bits,
  broadcast_in_dim: bits,
  slice: bits,
  pad: bits,
  concatenate: bits,
  gather: bits,
  scatter_add: accumulated("scatter_add", ({ inputs }) => sizeOf(inputs[1]?.type.shape ?? []) + 1),
  iota: bits,
  random_bits: bits,
  stop_gradient: bits,
  custom_vjp_call: composite,
  scan: composite,
  while: composite,
};

/** WGSL promises sin and cos to 2^-11 on [-pi, pi] only. */
export const wgslBudgets: Budgets = {
  ...strictBudgets,
  sin: absoluteWithin(2 ** -11, Math.PI),
  cos: absoluteWithin(2 ** -11, Math.PI),
};
