/** The kind of every parameter of every primitive, for parameters that come from text. What fits a kind may still not infer. */
import { GraphError } from "../errors.ts";
import type { CompareDirection, PrimitiveName, PrimitiveParams } from "./primitives.ts";
import { isDType } from "./tensor-type.ts";

type Check = (value: unknown) => boolean;

const isInteger: Check = (value) => Number.isSafeInteger(value);
const isIntegers: Check = (value) => Array.isArray(value) && value.every(isInteger);
const isBoolean: Check = (value) => typeof value === "boolean";
const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const DIRECTIONS: Readonly<Record<CompareDirection, true>> = {
  eq: true,
  ne: true,
  lt: true,
  le: true,
  gt: true,
  ge: true,
};

const KINDS = {
  integer: isInteger,
  boolean: isBoolean,
  integers: isIntegers,
  "two lists of integers": (value) => Array.isArray(value) && value.length === 2 && value.every(isIntegers),
  dtype: (value) => typeof value === "string" && isDType(value),
  direction: (value) => typeof value === "string" && Object.hasOwn(DIRECTIONS, value),
  type: (value) => isRecord(value) && "dtype" in value,
  graph: (value) => isRecord(value) && "equations" in value,
} as const satisfies Readonly<Record<string, Check>>;

type Kind = keyof typeof KINDS;

type ParamKinds = { readonly [P in PrimitiveName]: { readonly [K in keyof PrimitiveParams[P] & string]: Kind } };

const paramKinds: ParamKinds = {
  neg: {},
  abs: {},
  sign: {},
  floor: {},
  exp: {},
  log: {},
  log1p: {},
  expm1: {},
  sin: {},
  cos: {},
  tanh: {},
  logistic: {},
  sqrt: {},
  rsqrt: {},
  is_finite: {},
  not: {},
  convert_element_type: { dtype: "dtype" },
  add: {},
  sub: {},
  mul: {},
  div: {},
  max: {},
  min: {},
  pow: {},
  and: {},
  or: {},
  compare: { direction: "direction" },
  select: {},
  reduce_sum: { axes: "integers" },
  reduce_max: { axes: "integers" },
  argmax: { axis: "integer" },
  dot_general: { contracting: "two lists of integers", batch: "two lists of integers" },
  linear_recurrence: { axis: "integer", reverse: "boolean" },
  reshape: { shape: "integers" },
  transpose: { permutation: "integers" },
  broadcast_in_dim: { shape: "integers", dims: "integers" },
  slice: { start: "integers", limit: "integers", strides: "integers" },
  pad: { low: "integers", high: "integers", interior: "integers" },
  concatenate: { axis: "integer" },
  gather: { axis: "integer" },
  scatter_add: { axis: "integer" },
  iota: { type: "type", axis: "integer" },
  random_bits: { shape: "integers" },
  stop_gradient: {},
  custom_vjp_call: { primal: "graph", forward: "graph", backward: "graph", residuals: "integer" },
  scan: { body: "graph", consts: "integer", carry: "integer", length: "integer", reverse: "boolean" },
  while: { cond: "graph", body: "graph", condConsts: "integer", bodyConsts: "integer", maxSteps: "integer" },
};

/** Throws GraphError, naming the primitive and the parameter, unless exactly the declared parameters are there. */
export function requireParams(primitive: PrimitiveName, params: ReadonlyMap<string, unknown>): void {
  const kinds: Readonly<Record<string, Kind>> = paramKinds[primitive];
  const declared = Object.keys(kinds).join(", ") || "none";
  for (const name of params.keys()) {
    if (!Object.hasOwn(kinds, name)) {
      throw new GraphError(`${primitive}: has no parameter '${name}'; its parameters are ${declared}`);
    }
  }
  for (const [name, kind] of Object.entries(kinds)) {
    if (!params.has(name)) throw new GraphError(`${primitive}: parameter '${name}' (${kind}) is missing`);
    if (!KINDS[kind](params.get(name))) throw new GraphError(`${primitive}: parameter '${name}' must be ${kind}`);
  }
}
