/** Graph -> graph helpers of the testing kit: other float types, derivative graphs, other implementations of a primitive. */
import {
  type Atom,
  type Equation,
  type Graph,
  isVar,
  literal,
  type Literal,
  mapNestedGraphs,
  rewire,
  Var,
} from "../ir/graph.ts";
import type { PrimitiveName, PrimitiveParams } from "../ir/primitives.ts";
import { allocateHost, type DType, type HostArray, isFloat, type TensorType } from "../ir/tensor-type.ts";
import { inferEquation } from "../ir/infer.ts";
import { add } from "../ops/elementwise.ts";
import { closeOver, copyEquation, Environment, traceOpen } from "../trace/builder.ts";
import type { Tracer } from "../trace/tracer.ts";
import type { VjpTable } from "../vjp/rule.ts";
import { sweep } from "../vjp/sweep.ts";

/** The same program on another float type: every `from` becomes `to`, in nested graphs and parameters too. */
export function retype(graph: Graph, from: DType = "float32", to: DType = "float64"): Graph {
  const vars = new Map<Var, Var>();
  const dtype = (d: DType): DType => (d === from ? to : d);
  const typed = (type: TensorType): TensorType => ({ dtype: dtype(type.dtype), shape: type.shape });
  const define = (v: Var): Var => {
    const w = new Var(typed(v.type));
    vars.set(v, w);
    return w;
  };
  const use = (atom: Atom): Atom => {
    if (isVar(atom)) return vars.get(atom) ?? define(atom);
    const { type, value }: Literal = atom;
    return literal(dtype(type.dtype), value);
  };
  const inputs = graph.inputs.map(define);
  const equations = graph.equations.map((original): Equation => {
    const equation = retypeParams(
      mapNestedGraphs(original, (nested) => retype(nested, from, to)),
      dtype,
    );
    return rewire(equation, original.inputs.map(use), original.outputs.map(define));
  });
  return { inputs, equations, outputs: graph.outputs.map(use) };
}

function retypeParams(equation: Equation, dtype: (d: DType) => DType): Equation {
  switch (equation.primitive) {
    case "convert_element_type":
      return { ...equation, params: { dtype: dtype(equation.params.dtype) } };
    case "iota": {
      const { type, axis } = equation.params;
      return { ...equation, params: { type: { dtype: dtype(type.dtype), shape: type.shape }, axis } };
    }
    default:
      return equation;
  }
}

/** The same numbers as an array of another element type. */
export function convertHost(data: HostArray, dtype: DType): HostArray {
  const converted = allocateHost(dtype, data.length);
  converted.set(data);
  return converted;
}

/** Inputs of a float32 graph as inputs of the same graph in float64. */
export function widen(graph: Graph, inputs: readonly HostArray[]): HostArray[] {
  return inputs.map((data, i) => (graph.inputs[i]?.type.dtype === "float32" ? convertHost(data, "float64") : data));
}

const typesOf = (atoms: readonly Atom[]): TensorType[] => atoms.map((atom) => atom.type);

/** The float outputs of a graph, by index: those that have cotangents. */
export function floatOutputs(graph: Graph): readonly number[] {
  return graph.outputs.flatMap((atom, i) => (isFloat(atom.type.dtype) ? [i] : []));
}

const isListed = (graph: Graph, wrt: readonly number[]): boolean[] => graph.inputs.map((_, i) => wrt.includes(i));

/** (inputs, one u per float output) -> J^T u, one result per input in `wrt`. */
export function pullbackGraph(graph: Graph, table: VjpTable, wrt: readonly number[]): Graph {
  const floats = floatOutputs(graph);
  const types = [...typesOf(graph.inputs), ...floats.map((i) => typesOf(graph.outputs)[i])].filter(isDefined);
  return traceOpen(types, (args) => {
    const given = args.slice(graph.inputs.length);
    const { pullback } = sweep(graph, args.slice(0, graph.inputs.length), table, { wanted: isListed(graph, wrt) });
    const cotangents = pullback(graph.outputs.map((_, i) => given[floats.indexOf(i)] ?? null));
    return pick(cotangents, wrt);
  }).graph;
}

/** (inputs, weights) -> the gradient of sum(weights * F + F^2 / 2), which is curved even where F is linear. */
export function energyGradientGraph(graph: Graph, table: VjpTable, wrt: readonly number[]): Graph {
  const floats = floatOutputs(graph);
  const types = [...typesOf(graph.inputs), ...floats.map((i) => typesOf(graph.outputs)[i])].filter(isDefined);
  return traceOpen(types, (args) => {
    const weights = args.slice(graph.inputs.length);
    const { outputs, pullback } = sweep(graph, args.slice(0, graph.inputs.length), table, {
      wanted: isListed(graph, wrt),
    });
    const cotangents = outputs.map((y, i) => {
      const weight = weights[floats.indexOf(i)];
      return weight === undefined ? null : add(weight, y);
    });
    return pick(pullback(cotangents), wrt);
  }).graph;
}

function isDefined<T>(x: T | undefined): x is T {
  return x !== undefined;
}

const pick = (list: readonly Tracer[], wanted: readonly number[]): Tracer[] =>
  wanted.map((i) => list[i]).filter(isDefined);

/** Another implementation of a primitive, written with ops. */
export type Replacement<P extends PrimitiveName> = (
  inputs: readonly Tracer[],
  params: PrimitiveParams[P],
) => readonly Tracer[];

/** The graph with every use of a primitive, in nested graphs too, computed by another implementation. */
export function replacePrimitive<P extends PrimitiveName>(
  graph: Graph,
  primitive: P,
  replacement: Replacement<P>,
): Graph {
  const replaced = traceOpen(typesOf(graph.inputs), (args) => {
    const environment = new Environment();
    graph.inputs.forEach((v, i) => {
      const arg = args[i];
      if (arg !== undefined) environment.set(v, arg);
    });
    for (const original of graph.equations) {
      const equation = mapNestedGraphs(original, (nested) => replacePrimitive(nested, primitive, replacement));
      if (equation.primitive !== primitive) {
        copyEquation(equation, environment);
        continue;
      }
      const inputs = equation.inputs.map((atom) => environment.get(atom));
      const results = replacement(inputs, equation.params as PrimitiveParams[P]);
      equation.outputs.forEach((v, i) => {
        const result = results[i];
        if (result !== undefined) environment.set(v, result);
      });
    }
    return graph.outputs.map((atom) => environment.get(atom));
  }).graph;
  return closeOver(replaced).graph;
}

/** The graph of one equation, with a fresh input for each operand. */
export function singleEquationGraph(equation: Equation): Graph {
  const inputs = equation.inputs.map((atom) => new Var(atom.type));
  const outputs = inferEquation(equation).map((type) => new Var(type));
  return { inputs, equations: [rewire(equation, inputs, outputs)], outputs };
}
