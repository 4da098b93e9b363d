/** From a graph to a program. */
import type { EquationOf, Graph } from "../ir/graph.ts";
import type { PrimitiveName } from "../ir/primitives.ts";
import { sizeOf, type TensorType } from "../ir/tensor-type.ts";
import { wholeOf } from "./access.ts";
import { Block, BufferPool, type Value } from "./block.ts";
import { chainRows } from "./chains.ts";
import type { ProgramBuffer } from "./expression.ts";
import { fuse } from "./fuse.ts";
import type { Program } from "./program.ts";
import { hoistInvariants } from "./hoist.ts";
import { blockRows } from "./rows.ts";
import type { Lowering, LowerRule, LowerTable } from "./rule.ts";
import { dot_general } from "./rules/contraction.ts";
import { custom_vjp_call, scan, stop_gradient, while_ } from "./rules/control.ts";
import { iota, random_bits } from "./rules/creation.ts";
import { apply, compare } from "./rules/elementwise.ts";
import { gather, scatter_add } from "./rules/indexing.ts";
import { broadcast_in_dim, concatenate, pad, reshape, slice, transpose } from "./rules/movement.ts";
import { linear_recurrence } from "./rules/recurrence.ts";
import { turnOperands } from "./turn-operands.ts";
import { argmax, reduce_max, reduce_sum } from "./rules/reduction.ts";

const table: LowerTable = {
  neg: apply("neg"),
  abs: apply("abs"),
  sign: apply("sign"),
  floor: apply("floor"),
  exp: apply("exp"),
  log: apply("log"),
  log1p: apply("log1p"),
  expm1: apply("expm1"),
  sin: apply("sin"),
  cos: apply("cos"),
  tanh: apply("tanh"),
  logistic: apply("logistic"),
  sqrt: apply("sqrt"),
  rsqrt: apply("rsqrt"),
  is_finite: apply("is_finite"),
  not: apply("not"),
  convert_element_type: apply("convert_element_type"),
  add: apply("add"),
  sub: apply("sub"),
  mul: apply("mul"),
  div: apply("div"),
  max: apply("max"),
  min: apply("min"),
  pow: apply("pow"),
  and: apply("and"),
  or: apply("or"),
  compare,
  select: apply("select"),
  reduce_sum,
  reduce_max,
  argmax,
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
  iota,
  random_bits,
  stop_gradient,
  custom_vjp_call,
  scan,
  while: while_,
};

function lowerEquation<P extends PrimitiveName>(equation: EquationOf<P>, lowering: Lowering): void {
  const rule: LowerRule<P> = table[equation.primitive];
  rule(equation, lowering);
}

function inlineInto(block: Block, graph: Graph, args: readonly Value[]): readonly Value[] {
  graph.inputs.forEach((v, i) => {
    const value = args[i];
    if (value !== undefined) block.set(v, value);
  });
  const lowering: Lowering = {
    block,
    inline: inlineInto,
    nested: (body) => new Block(body, block.pool),
  };
  for (const equation of graph.equations) lowerEquation(equation, lowering);
  return graph.outputs.map((atom) => block.get(atom));
}

/** How fused kernels are arranged for the machine that runs them. */
export type Schedule = (program: Program) => Program;

/** For processors with caches: loops and chains by blocks of rows, weights of loops packed once. */
export const forCaches: Schedule = (program) => turnOperands(chainRows(blockRows(program)));

/** Lowers a closed graph: kernels in order, fused where one can do the work of several, then arranged by the schedule. */
export function lower(graph: Graph, schedule: Schedule = forCaches): Program {
  const buffers = (name: string, types: readonly TensorType[]): ProgramBuffer[] =>
    types.map(({ dtype, shape }, i) => ({ name: `${name}${i}`, dtype, size: sizeOf(shape) }));
  const inputTypes = graph.inputs.map((v) => v.type);
  const outputTypes = graph.outputs.map((atom) => atom.type);
  const inputs = buffers("in", inputTypes);
  const outputs = buffers("out", outputTypes);

  const block = new Block(graph, new BufferPool());
  const args = inputs.map((buffer, i): Value => {
    const type = inputTypes[i] ?? { dtype: buffer.dtype, shape: [buffer.size] };
    return block.reading(type, buffer);
  });
  const results = inlineInto(block, graph, args);
  results.forEach(({ type, expression }, i) => {
    const buffer = outputs[i];
    if (buffer !== undefined) block.write(type.shape, buffer, wholeOf(type.shape), expression);
  });
  const { temporaries } = block.pool;
  return schedule(fuse(hoistInvariants({ inputs, outputs, inputTypes, outputTypes, temporaries, steps: block.steps })));
}
