/** The complex interpreter: runs a float64 graph on pairs of a real and an imaginary part, deciding by the real part. */
import { GraphError } from "../../errors.ts";
import {
  type Atom,
  type Equation,
  type EquationOf,
  type Graph,
  isVar,
  type Literal,
  type Var,
} from "../../ir/graph.ts";
import type { PrimitiveName } from "../../ir/primitives.ts";
import { allocateHost, type HostArray, isFloat } from "../../ir/tensor-type.ts";
import { type CompiledGraph, compileGraph } from "../../reference/interpret.ts";
import { singleEquationGraph } from "../graph-tools.ts";
import { complexRules } from "./complex-rules.ts";

/** A tensor with an imaginary part; null where it is zero, as it always is in tensors that are not floats. */
export interface Complex {
  readonly re: HostArray;
  readonly im: HostArray | null;
}

/** What a rule may call besides arithmetic. */
export interface ComplexContext {
  /** The primitive on real operands, by the reference. */
  readonly real: (inputs: readonly HostArray[]) => readonly HostArray[];
  readonly evaluate: (graph: Graph, inputs: readonly Complex[]) => readonly Complex[];
}

export type ComplexRule<P extends PrimitiveName> = (
  inputs: readonly Complex[],
  equation: EquationOf<P>,
  context: ComplexContext,
) => readonly Complex[];

const compiled = new WeakMap<Equation, CompiledGraph>();

/** The primitive of an equation on real operands. */
function applyReal(equation: Equation, inputs: readonly HostArray[]): readonly HostArray[] {
  let program = compiled.get(equation);
  if (program === undefined) {
    program = compileGraph(singleEquationGraph(equation));
    compiled.set(equation, program);
  }
  return program.run(inputs).outputs;
}

/** Runs a graph. Throws ComplexStepRefused where an imaginary part meets a kink, a tie or a pole. */
export function evaluateComplex(graph: Graph, inputs: readonly Complex[]): Complex[] {
  const values = new Map<Var, Complex>();
  const get = (atom: Atom): Complex => {
    if (isVar(atom)) {
      const value = values.get(atom);
      if (value === undefined) throw new GraphError("complex interpreter: a value is used before it is assigned");
      return value;
    }
    const { type, value }: Literal = atom;
    const re = allocateHost(type.dtype, 1);
    re[0] = value;
    return { re, im: null };
  };
  graph.inputs.forEach((v, i) => {
    const input = inputs[i];
    if (input === undefined) throw new GraphError(`complex interpreter: input ${i} is missing`);
    values.set(v, input);
  });
  for (const equation of graph.equations) {
    const results = applyComplex(equation, equation.inputs.map(get));
    equation.outputs.forEach((v, i) => {
      const result = results[i];
      if (result !== undefined) values.set(v, isFloat(v.type.dtype) ? result : { re: result.re, im: null });
    });
  }
  return graph.outputs.map(get);
}

function applyComplex<P extends PrimitiveName>(
  equation: EquationOf<P> & Equation,
  inputs: readonly Complex[],
): readonly Complex[] {
  const real = (operands: readonly HostArray[]): readonly HostArray[] => applyReal(equation, operands);
  const isReal = inputs.every(({ im }) => im === null);
  if (isReal) return real(inputs.map(({ re }) => re)).map((re) => ({ re, im: null }));
  const rule: ComplexRule<P> = complexRules[equation.primitive];
  return rule(inputs, equation, { real, evaluate: evaluateComplex });
}

/** The complex step: h times the direction in the imaginary part, divided out again at the end. */
export const STEP = 1e-30;

/**
 * J v of a float64 graph by the complex step, without subtraction: one array per float output. `directions` has one array
 * per input, null for no change.
 */
export function complexStep(
  graph: Graph,
  inputs: readonly HostArray[],
  directions: readonly (HostArray | null)[],
): Float64Array[] {
  const operands = inputs.map((re, i): Complex => {
    const v = directions[i];
    return { re, im: v ? Float64Array.from(v, (x) => x * STEP) : null };
  });
  return evaluateComplex(graph, operands)
    .filter((_, i) => isFloat(graph.outputs[i]?.type.dtype ?? "bool"))
    .map(({ re, im }) => (im === null ? new Float64Array(re.length) : Float64Array.from(im, (x) => x / STEP)));
}
