/** The total table of differentiation rules. A primitive without a row does not compile. */
import type { VjpTable } from "./rule.ts";
import { zeroCotangent } from "./rule.ts";
import { dot_general } from "./rules/contraction.ts";
import { custom_vjp_call, scanRule, whileRule } from "./rules/control.ts";
import { rules as elementwise } from "./rules/elementwise.ts";
import { gather, scatter_add } from "./rules/indexing.ts";
import { broadcast_in_dim, concatenate, pad, reshape, slice, transpose } from "./rules/movement.ts";
import { linear_recurrence } from "./rules/recurrence.ts";
import { reduce_max, reduce_sum } from "./rules/reduction.ts";

export const vjpTable: VjpTable = {
  ...elementwise,
  // Piecewise constant, or not real-valued.
  sign: zeroCotangent,
  floor: zeroCotangent,
  is_finite: zeroCotangent,
  not: zeroCotangent,
  and: zeroCotangent,
  or: zeroCotangent,
  compare: zeroCotangent,
  argmax: zeroCotangent,
  iota: zeroCotangent,
  random_bits: zeroCotangent,
  stop_gradient: zeroCotangent,
  reduce_sum,
  reduce_max,
  dot_general,
  linear_recurrence,
  reshape,
  transpose,
  broadcast_in_dim,
  slice,
  pad,
  concatenate,
  gather,
  scatter_add,
  custom_vjp_call,
  scan: scanRule(() => vjpTable),
  while: whileRule,
};
