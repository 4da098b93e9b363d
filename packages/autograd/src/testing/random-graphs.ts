/** Random well-typed graphs for fast-check: a list of small decisions that is built into a program, so that shrinking is short. */
import { type Arbitrary, array, nat, record } from "fast-check";
import type { Graph } from "../ir/graph.ts";
import { printGraph } from "../ir/print.ts";
import { type HostArray, isFloat, type Shape, sizeOf, type TensorType } from "../ir/tensor-type.ts";
import { greater } from "../ops/elementwise.ts";
import { sum } from "../ops/reduction.ts";
import { traceOpen } from "../trace/builder.ts";
import type { Tracer } from "../trace/tracer.ts";
import { integers, normal } from "./data.ts";
import { moves } from "./random-graphs/moves.ts";
import { sampleData, type SampleInput } from "./sample.ts";

export interface RandomGraphOptions {
  /** Stops adding once the program has so many equations; default 30. */
  readonly maxEquations?: number;
  /** Leave out what has no gradient or is not finite for some operands; default false. */
  readonly smooth?: boolean;
}

/** A program with data to run it on. fast-check prints it as the program's text. */
export interface RandomGraph {
  readonly graph: Graph;
  readonly inputs: readonly HostArray[];
  toString(): string;
}

/** One decision: which move, on which values, in which variant. All shrink towards 0. */
export interface Step {
  readonly move: number;
  readonly a: number;
  readonly b: number;
  readonly variant: number;
}

/** Values grow no larger than this. */
const MOST_ELEMENTS = 256;

/** What a move may ask for. */
export interface Pool {
  /** A float value; the same number gives the same value as long as no more are made. */
  float(choice: number): Tracer;
  int(choice: number): Tracer;
  bool(choice: number): Tracer;
  /** A uint32[2]. */
  readonly key: Tracer;
}

/** Adds a few equations and returns the values worth using again. */
export type Move = (pool: Pool, step: Step) => readonly Tracer[];

/** Graphs of float32 over `moves`, with two matrices, a square matrix, a scalar, integers and a key as inputs. */
export function randomGraph(options: RandomGraphOptions = {}): Arbitrary<RandomGraph> {
  const { maxEquations = 30, smooth = false } = options;
  const chosen = moves.filter((move) => !smooth || move.smooth);
  return record({
    seed: nat(0xffff),
    rows: nat(4),
    columns: nat(4),
    steps: array(record({ move: nat(chosen.length - 1), a: nat(12), b: nat(12), variant: nat(7) }), {
      minLength: 1,
      maxLength: 30,
      size: "max",
    }),
  }).map(({ seed, rows, columns, steps }) => {
    const specs = inputsFor(rows, columns + 1);
    const graph = build(
      specs.map(({ type }) => type),
      steps.map((step) => ({ step, apply: chosen[step.move]?.apply })),
      maxEquations,
    );
    const inputs = sampleData(specs, seed);
    return { graph, inputs, toString: () => `seed ${seed}\n${printGraph(graph)}` };
  });
}

function inputsFor(rows: number, columns: number): readonly SampleInput[] {
  const float = (...shape: Shape): SampleInput => ({ type: { dtype: "float32", shape }, domain: normal() });
  return [
    float(rows, columns),
    float(rows, columns),
    float(columns, columns),
    float(),
    { type: { dtype: "int32", shape: [rows] }, domain: integers(0, 5) },
    { type: { dtype: "uint32", shape: [2] }, domain: integers(0, 9) },
  ];
}

interface Application {
  readonly step: Step;
  readonly apply: Move | undefined;
}

function build(types: readonly TensorType[], applications: readonly Application[], maxEquations: number): Graph {
  return traceOpen(types, (args) => {
    const values = [...args];
    const key = args.find((x) => x.dtype === "uint32");
    if (key === undefined) throw new RangeError("a random graph needs a key");
    const pick = (kind: (x: Tracer) => boolean, choice: number): Tracer | undefined => {
      const fitting = values.filter(kind);
      return fitting[choice % fitting.length];
    };
    const float = (choice: number): Tracer => pick((x) => isFloat(x.dtype), choice) ?? key;
    const pool: Pool = {
      key,
      float,
      int: (choice) => pick((x) => x.dtype === "int32", choice) ?? key,
      bool: (choice) => pick((x) => x.dtype === "bool", choice) ?? greater(float(choice), 0),
    };
    for (const { step, apply } of applications) {
      if ((values.at(-1)?.builder?.equations.length ?? 0) >= maxEquations) break;
      if (apply === undefined) continue;
      for (const value of apply(pool, step)) values.push(bounded(value));
    }
    // The last values are the results; what only the others need is dead code.
    const floats = values.filter((x) => isFloat(x.dtype));
    return [...floats.slice(-1), ...values.slice(-2)];
  }).graph;
}

function bounded(x: Tracer): Tracer {
  return sizeOf(x.shape) > MOST_ELEMENTS && isFloat(x.dtype) ? sum(x) : x;
}
