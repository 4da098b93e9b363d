/** The total table of result types. A primitive without a rule does not compile. */
import type { EquationOf } from "./graph.ts";
import * as contraction from "./infer/contraction.ts";
import * as control from "./infer/control.ts";
import * as creation from "./infer/creation.ts";
import * as elementwise from "./infer/elementwise.ts";
import * as indexing from "./infer/indexing.ts";
import * as movement from "./infer/movement.ts";
import * as recurrence from "./infer/recurrence.ts";
import * as reduction from "./infer/reduction.ts";
import type { PrimitiveName, PrimitiveParams } from "./primitives.ts";
import type { TensorType } from "./tensor-type.ts";

/** Result types from operand types and parameters; throws ShapeError, DTypeError or GraphError if they do not fit. */
export type InferRule<P extends PrimitiveName> = (
  inputs: readonly TensorType[],
  params: PrimitiveParams[P],
) => readonly TensorType[];

export type InferTable = { readonly [P in PrimitiveName]: InferRule<P> };

const { floatUnary, numericUnary, numericBinary, boolBinary } = elementwise;

export const inferTable: InferTable = {
  neg: numericUnary("neg"),
  abs: numericUnary("abs"),
  sign: numericUnary("sign"),
  floor: floatUnary("floor"),
  exp: floatUnary("exp"),
  log: floatUnary("log"),
  log1p: floatUnary("log1p"),
  expm1: floatUnary("expm1"),
  sin: floatUnary("sin"),
  cos: floatUnary("cos"),
  tanh: floatUnary("tanh"),
  logistic: floatUnary("logistic"),
  sqrt: floatUnary("sqrt"),
  rsqrt: floatUnary("rsqrt"),
  is_finite: elementwise.is_finite,
  not: elementwise.not,
  convert_element_type: elementwise.convert_element_type,
  add: numericBinary("add"),
  sub: numericBinary("sub"),
  mul: numericBinary("mul"),
  div: numericBinary("div"),
  max: numericBinary("max"),
  min: numericBinary("min"),
  pow: elementwise.pow,
  and: boolBinary("and"),
  or: boolBinary("or"),
  compare: elementwise.compare,
  select: elementwise.select,
  reduce_sum: reduction.reduce_sum,
  reduce_max: reduction.reduce_max,
  argmax: reduction.argmax,
  dot_general: contraction.dot_general,
  linear_recurrence: recurrence.linear_recurrence,
  reshape: movement.reshape,
  transpose: movement.transpose,
  broadcast_in_dim: movement.broadcast_in_dim,
  slice: movement.slice,
  pad: movement.pad,
  concatenate: movement.concatenate,
  gather: indexing.gather,
  scatter_add: indexing.scatter_add,
  iota: creation.iota,
  random_bits: creation.random_bits,
  stop_gradient: control.stop_gradient,
  custom_vjp_call: control.custom_vjp_call,
  scan: control.scan,
  while: control.while_,
};

/** Result types of one application of a primitive. */
export function infer<P extends PrimitiveName>(
  primitive: P,
  inputs: readonly TensorType[],
  params: PrimitiveParams[P],
): readonly TensorType[] {
  const rule: InferRule<P> = inferTable[primitive];
  return rule(inputs, params);
}

/** Result types of an equation. */
export function inferEquation<P extends PrimitiveName>(equation: EquationOf<P>): readonly TensorType[] {
  return infer(
    equation.primitive,
    equation.inputs.map((atom) => atom.type),
    equation.params,
  );
}
