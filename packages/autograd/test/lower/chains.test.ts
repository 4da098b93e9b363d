import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Graph } from "../../src/ir/graph.ts";
import { type HostArray, sizeOf } from "../../src/ir/tensor-type.ts";
import { makeGraph } from "../../src/jit/make-graph.ts";
import { type ChainLimits, chainRows } from "../../src/lower/chains.ts";
import { lower, planMemory, type Program } from "../../src/lower/index.ts";
import { layerNorm } from "../../src/nn/normalization.ts";
import { linearRecurrence } from "../../src/ops/recurrence.ts";
import { hostTensor } from "../../src/runtime/host-tensor.ts";
import { runProgram } from "../../src/reference/run-program.ts";
import { randomGraph } from "../../src/testing/random-graphs.ts";
import { sampleData, sampleGraph } from "../../src/testing/sample.ts";
import { allSamples } from "../../src/testing/samples.ts";
import type { Tracer } from "../../src/trace/tracer.ts";

/** Everything that may become a loop over blocks does, down to blocks of one row. */
const small: ChainLimits = { chain: 0, least: 0, most: 64, row: 2 ** 20, large: 0, blocks: 2 };

function expectSame(graph: Graph, inputs: readonly HostArray[]): Program {
  const program = lower(graph);
  const chained = chainRows(program, small);
  expect(runProgram(chained, inputs)).toEqual(runProgram(program, inputs));
  return chained;
}

const kindsOf = ({ steps }: Program): readonly string[] => steps.map(({ kind }) => kind);

const numbers = (size: number): Float32Array<ArrayBuffer> =>
  Float32Array.from({ length: size }, (_, i) => Math.sin(3 * i));

const graphOf = (f: (x: Tracer) => unknown, shape: readonly number[]): Graph =>
  makeGraph(f, hostTensor({ dtype: "float32", shape }, numbers(sizeOf(shape))));

describe("chains by blocks of rows", () => {
  it.each(allSamples().map((sample) => [`${sample.primitive} ${sample.sample.name}`, sample] as const))(
    "give the same numbers: %s",
    (_, { primitive, sample }) => {
      expectSame(sampleGraph(primitive, sample as never), sampleData(sample.inputs, 1));
    },
  );

  it("give the same numbers for random programs", () => {
    let loops = 0;
    fc.assert(
      fc.property(randomGraph(), ({ graph, inputs }) => {
        loops += kindsOf(expectSame(graph, inputs)).filter((kind) => kind === "for").length;
      }),
      { numRuns: 150 },
    );
    expect(loops).toBeGreaterThan(10);
  });

  it("are one loop for a layer norm, without temporaries outside", () => {
    const graph = graphOf((x) => layerNorm(x), [6, 8]);
    const program = expectSame(graph, [numbers(48)]);
    expect(kindsOf(program)).toEqual(["for"]);
    const plan = planMemory(program, 16);
    expect([plan.bytes, plan.local.bytes]).toEqual([0, 32]);
  });

  it("hold a recurrence and its gradient's", () => {
    const f = (x: Tracer): Tracer =>
      linearRecurrence(linearRecurrence(x, x), x, { reverse: true }).tanh().max({ axes: 1 });
    expect(kindsOf(expectSame(graphOf(f, [4, 5, 3]), [numbers(60)]))).toEqual(["for"]);
  });

  it("end where a kernel reads another row of what the chain writes", () => {
    const shifted = (x: Tracer): Tracer => {
      const y = x.tanh().pad([[1, 0], [0, 0]]); // prettier-ignore
      return y.sliceAxis(0, 0, 6).mul(y.sliceAxis(0, 1, 7));
    };
    const program = expectSame(graphOf(shifted, [6, 8]), [numbers(48)]);
    expect(kindsOf(program)).not.toEqual(["for"]);
  });

  it("end where rows are combined, and at loops", () => {
    const combined = (x: Tracer): Tracer => layerNorm(x.add(x.max({ axes: 0 })));
    expect(kindsOf(expectSame(graphOf(combined, [6, 8]), [numbers(48)]))).toEqual(["reduce", "for"]);
  });

  it("are left alone where they fit the second cache", () => {
    const kinds = (rows: number): readonly string[] => kindsOf(lower(graphOf((x) => layerNorm(x), [rows, 256])));
    expect(kinds(1024)).toEqual(["reduce", "reduce", "map"]);
    expect(kinds(4096)).toEqual(["for"]);
  });
});
