/** The primitives and their static parameters: the single list from which every rule table takes its keys. */
import type { Graph } from "./graph.ts";
import type { DType, Shape, TensorType } from "./tensor-type.ts";

/** A primitive without parameters. */
export type NoParams = Readonly<Record<string, never>>;

type None = NoParams;

/** Axes are non-negative, strictly increasing and in range. */
interface Axes {
  readonly axes: readonly number[];
}

export type CompareDirection = "eq" | "ne" | "lt" | "le" | "gt" | "ge";

/** Two lists of axes: those of the left operand and those of the right one, paired by position. */
export type AxisPairs = readonly [readonly number[], readonly number[]];

/**
 * Parameters of each primitive. Operands of one primitive have equal shapes and dtypes unless said otherwise:
 * primitives neither broadcast nor promote, `ops/` does.
 */
export interface PrimitiveParams {
  // elementwise, one operand
  neg: None;
  abs: None;
  sign: None;
  floor: None;
  exp: None;
  log: None;
  log1p: None;
  expm1: None;
  sin: None;
  cos: None;
  tanh: None;
  logistic: None;
  sqrt: None;
  rsqrt: None;
  /** float -> bool, false for NaN and infinities. */
  is_finite: None;
  not: None;
  /** Float to integer truncates towards zero; anything to bool is `x != 0`. */
  convert_element_type: { readonly dtype: DType };
  // elementwise, two operands
  add: None;
  sub: None;
  mul: None;
  /** Integers truncate towards zero; an integer divided by 0 is 0. */
  div: None;
  /** NaN if either operand is. */
  max: None;
  /** NaN if either operand is. */
  min: None;
  pow: None;
  and: None;
  or: None;
  /** -> bool. Comparisons with NaN are false, except `ne`. */
  compare: { readonly direction: CompareDirection };
  /** (predicate bool, onTrue, onFalse), all of one shape. */
  select: None;
  // reduction
  reduce_sum: Axes;
  /** The reduced extent must not be empty. NaN if any element is. */
  reduce_max: Axes;
  /** -> int32, the first of the largest elements; the first NaN if there is one. */
  argmax: { readonly axis: number };
  // contraction: result is [batch..., lhs free..., rhs free...]
  dot_general: { readonly contracting: AxisPairs; readonly batch: AxisPairs };
  // recurrence
  /** (a, b): h_t = a_t * h_{t-1} + b_t along `axis`, starting from 0; from the far end when `reverse`. */
  linear_recurrence: { readonly axis: number; readonly reverse: boolean };
  // movement
  reshape: { readonly shape: Shape };
  transpose: { readonly permutation: readonly number[] };
  /** Operand axis i becomes result axis dims[i] (increasing); it is repeated where its size is 1. */
  broadcast_in_dim: { readonly shape: Shape; readonly dims: readonly number[] };
  slice: { readonly start: readonly number[]; readonly limit: readonly number[]; readonly strides: readonly number[] };
  /** Zeros before, after and between the elements; amounts are non-negative. */
  pad: { readonly low: readonly number[]; readonly high: readonly number[]; readonly interior: readonly number[] };
  concatenate: { readonly axis: number };
  // indexing
  /** (operand, indices int32): `axis` is replaced by the shape of indices. Out of range reads NaN (0 for non-floats). */
  gather: { readonly axis: number };
  /** (operand, indices int32, updates shaped as gather's result): adds in order of indices; out of range is dropped. */
  scatter_add: { readonly axis: number };
  // creation
  iota: { readonly type: TensorType; readonly axis: number };
  /** (key uint32[2]) -> uint32: element i is the xor of the two words of Threefry-2x32 at the 64-bit counter i. */
  random_bits: { readonly shape: Shape };
  // differentiation and control
  stop_gradient: None;
  /** forward returns the results of primal and then `residuals` values; backward takes (residuals, cotangents). */
  custom_vjp_call: {
    readonly primal: Graph;
    readonly forward: Graph;
    readonly backward: Graph;
    readonly residuals: number;
  };
  /** (consts, carry, xs stacked on axis 0) -> (carry, ys stacked on axis 0); body: (consts, carry, x) -> (carry, y). */
  scan: {
    readonly body: Graph;
    readonly consts: number;
    readonly carry: number;
    readonly length: number;
    readonly reverse: boolean;
  };
  /**
   * (cond consts, body consts, carry) -> (carry, steps int32). The predicate is bool[], or bool[rows] when axis 0 of
   * every carry is rows: then a finished row's carry is frozen and steps is int32[rows]. Ends after maxSteps at the latest.
   */
  while: {
    readonly cond: Graph;
    readonly body: Graph;
    readonly condConsts: number;
    readonly bodyConsts: number;
    readonly maxSteps: number;
  };
}

export type PrimitiveName = keyof PrimitiveParams;

/** Names in one total record, so that a primitive cannot be declared and forgotten. */
const NAMES: { readonly [P in PrimitiveName]: true } = {
  neg: true,
  abs: true,
  sign: true,
  floor: true,
  exp: true,
  log: true,
  log1p: true,
  expm1: true,
  sin: true,
  cos: true,
  tanh: true,
  logistic: true,
  sqrt: true,
  rsqrt: true,
  is_finite: true,
  not: true,
  convert_element_type: true,
  add: true,
  sub: true,
  mul: true,
  div: true,
  max: true,
  min: true,
  pow: true,
  and: true,
  or: true,
  compare: true,
  select: true,
  reduce_sum: true,
  reduce_max: true,
  argmax: true,
  dot_general: true,
  linear_recurrence: true,
  reshape: true,
  transpose: true,
  broadcast_in_dim: true,
  slice: true,
  pad: true,
  concatenate: true,
  gather: true,
  scatter_add: true,
  iota: true,
  random_bits: true,
  stop_gradient: true,
  custom_vjp_call: true,
  scan: true,
  while: true,
};

export const PRIMITIVES: readonly PrimitiveName[] = Object.keys(NAMES) as PrimitiveName[];

export function isPrimitive(name: string): name is PrimitiveName {
  return Object.hasOwn(NAMES, name);
}
