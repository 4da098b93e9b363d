/** The total table of kernels. A primitive without a rule does not compile. */
import type { Equation, EquationOf, Graph } from "../ir/graph.ts";
import type { PrimitiveName } from "../ir/primitives.ts";
import * as contraction from "./contraction.ts";
import * as control from "./control.ts";
import * as creation from "./creation.ts";
import * as elementwise from "./elementwise.ts";
import * as indexing from "./indexing.ts";
import type { Implementation, KernelRule, Program } from "./kernel.ts";
import * as movement from "./movement.ts";
import * as recurrence from "./recurrence.ts";
import * as reduction from "./reduction.ts";

export type KernelTable = { readonly [P in PrimitiveName]: KernelRule<P> };

export const kernelTable: KernelTable = {
  neg: elementwise.neg,
  abs: elementwise.abs,
  sign: elementwise.sign,
  floor: elementwise.floor,
  exp: elementwise.exp,
  log: elementwise.log,
  log1p: elementwise.log1p,
  expm1: elementwise.expm1,
  sin: elementwise.sin,
  cos: elementwise.cos,
  tanh: elementwise.tanh,
  logistic: elementwise.logistic,
  sqrt: elementwise.sqrt,
  rsqrt: elementwise.rsqrt,
  is_finite: elementwise.is_finite,
  not: elementwise.not,
  convert_element_type: elementwise.convert_element_type,
  add: elementwise.add,
  sub: elementwise.sub,
  mul: elementwise.mul,
  div: elementwise.div,
  max: elementwise.max,
  min: elementwise.min,
  pow: elementwise.pow,
  and: elementwise.and,
  or: elementwise.or,
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

/** What the table makes of an equation. */
export function implement(equation: Equation, compile: (graph: Graph) => Program): Implementation {
  return apply(equation, compile);
}

function apply<P extends PrimitiveName>(equation: EquationOf<P>, compile: (graph: Graph) => Program): Implementation {
  const rule: KernelRule<P> = kernelTable[equation.primitive];
  return rule(equation, compile);
}
