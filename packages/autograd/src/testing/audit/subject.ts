/** What the audit looks at: one sample in float64, its derivative graphs under a table of rules, and random directions. */
import { NotDifferentiableError } from "../../errors.ts";
import { type Equation, type Graph, nestedGraphs } from "../../ir/graph.ts";
import { type HostArray, isFloat, sizeOf } from "../../ir/tensor-type.ts";
import { compileGraph } from "../../reference/interpret.ts";
import type { VjpTable } from "../../vjp/rule.ts";
import { normals } from "../data.ts";
import { floatOutputs, pullbackGraph, retype, widen } from "../graph-tools.ts";
import { sampleData, sampleGraph } from "../sample.ts";
import type { NamedSample } from "../samples.ts";
import { complexStep } from "./complex.ts";
import type { Vectors } from "./vectors.ts";

export interface Subject {
  readonly graph: Graph;
  readonly table: VjpTable;
  readonly seed: number;
  /** Inputs to differentiate by. */
  readonly wrt: readonly number[];
  readonly inputs: readonly HostArray[];
  /** The float outputs at the inputs; here and everywhere else, elements that are not finite there are zero. */
  readonly outputs: Vectors;
  readonly isFinite: readonly (readonly boolean[])[];
  readonly regularity: "kink" | "once" | "smooth";
  /** The function is not what differences of it show: something in it is held constant. */
  readonly holdsConstant: boolean;
  /** F at the inputs moved by t * direction. */
  move(direction: Vectors, t: number): Float64Array[];
  /** J^T u. */
  pullback(u: Vectors): HostArray[];
  /** J v by the complex step. Throws ComplexStepRefused. */
  complexJvp(v: Vectors): Float64Array[];
}

/** Prepares a sample. Throws NotDifferentiableError if the rule refuses. */
export function makeSubject(named: NamedSample, table: VjpTable, seed: number): Subject {
  const single = sampleGraph(named.primitive, named.sample as never);
  const graph = retype(single);
  const inputs = widen(single, sampleData(named.sample.inputs, seed));
  const isFloatInput = graph.inputs.map((v) => isFloat(v.type.dtype));
  const wrt = (named.sample.wrt ?? isFloatInput.map((_, i) => i)).filter((i) => isFloatInput[i]);
  const forward = compileGraph(graph);
  const backward = compileGraph(pullbackGraph(graph, table, wrt));
  const floats = floatOutputs(graph);
  const floatsOf = (given: readonly HostArray[]): Float64Array[] => {
    const { outputs } = forward.run(given);
    return floats.map((i) => Float64Array.from(outputs[i] ?? []));
  };
  const outputs = floatsOf(inputs);
  const isFinite = outputs.map((y) => Array.from(y, (x) => Number.isFinite(x)));
  const masked = (list: readonly Float64Array[]): Float64Array[] =>
    list.map((y, k) => y.map((x, i) => (isFinite[k]?.[i] === true ? x : 0)));
  const spread = (direction: Vectors): (HostArray | null)[] => inputs.map((_, i) => direction[wrt.indexOf(i)] ?? null);
  return {
    graph,
    table,
    seed,
    wrt,
    inputs,
    outputs: masked(outputs),
    isFinite,
    regularity: named.sample.regularity ?? "smooth",
    holdsConstant: named.primitive === "stop_gradient" || containsStop(graph),
    move: (direction, t) => {
      const along = spread(direction);
      const moved = inputs.map((x, i) => (along[i] ? Float64Array.from(x, (p, j) => p + t * (along[i]?.[j] ?? 0)) : x));
      return masked(floatsOf(moved));
    },
    pullback: (u) => backward.run([...inputs, ...u]).outputs,
    complexJvp: (v) => masked(complexStep(graph, inputs, spread(v))),
  };
}

function containsStop(graph: Graph): boolean {
  return graph.equations.some((equation: Equation) =>
    nestedGraphs(equation).some(
      ([, nested]) => nested.equations.some(({ primitive }) => primitive === "stop_gradient") || containsStop(nested),
    ),
  );
}

/** Sizes of the arrays that a subject is differentiated by. */
export const domainSizes = ({ graph, wrt }: Subject): number[] =>
  wrt.map((i) => sizeOf(graph.inputs[i]?.type.shape ?? []));

/** Normal directions, one array per size. */
export function directions(sizes: readonly number[], seed: number, stream: number): Float64Array[] {
  return sizes.map((size, i) => normals(seed, stream + i, size));
}

/** A cotangent for the outputs: zero where an output is not a finite number. */
export function cotangents(subject: Subject, stream: number): Float64Array[] {
  const u = directions(
    subject.outputs.map((x) => x.length),
    subject.seed,
    stream,
  );
  return u.map((array, k) => array.map((x, i) => (subject.isFinite[k]?.[i] === true ? x : 0)));
}

/** Whether a rule refuses with a reason, as it must for a primitive that has no derivative. */
export function refusal(make: () => unknown): string | null {
  try {
    make();
    return null;
  } catch (error) {
    if (error instanceof NotDifferentiableError) return error.message;
    throw error;
  }
}
