import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Graph } from "../../src/ir/graph.ts";
import { parseGraph } from "../../src/ir/parse.ts";
import { printGraph } from "../../src/ir/print.ts";
import { type HostArray, isFloat, sizeOf } from "../../src/ir/tensor-type.ts";
import { lower, planMemory, printProgram, visitSteps } from "../../src/lower/index.ts";
import { optimize } from "../../src/passes/index.ts";
import { evaluateGraph } from "../../src/reference/interpret.ts";
import { runProgram } from "../../src/reference/run-program.ts";
import { randomGraph } from "../../src/testing/random-graphs.ts";
import { sampleData, sampleGraph } from "../../src/testing/sample.ts";
import { allSamples } from "../../src/testing/samples.ts";

/** The lowered program gives the interpreter's numbers; sums may be rounded in another order. */
function expectSame(graph: Graph, inputs: readonly HostArray[]): void {
  const expected = evaluateGraph(graph, inputs);
  const program = lower(graph);
  const actual = runProgram(program, inputs);
  expected.forEach((want, k) => {
    const got = actual[k]!;
    const float = isFloat(graph.outputs[k]!.type.dtype);
    want.forEach((x: number, i: number) => {
      const y = got[i]!;
      const same = Object.is(x, y) || x === y || (float && Math.abs(x - y) <= 1e-5 * Math.max(1, Math.abs(x)));
      if (!same) {
        expect.fail(
          `output ${k}[${i}]: interpreter ${x}, program ${y}\n${printGraph(graph)}\n${printProgram(program)}`,
        );
      }
    });
  });
}

describe("lower", () => {
  it.each(allSamples().map((sample) => [`${sample.primitive} ${sample.sample.name}`, sample] as const))(
    "means the same: %s",
    (_, { primitive, sample }) => {
      const graph = sampleGraph(primitive, sample as never);
      const inputs = sampleData(sample.inputs, 1);
      expectSame(graph, inputs);
      expectSame(optimize(graph), inputs);
    },
  );

  it("means the same for random programs, optimised or not", () => {
    fc.assert(
      fc.property(randomGraph(), ({ graph, inputs }) => {
        expectSame(graph, inputs);
        expectSame(optimize(graph), inputs);
      }),
      { numRuns: 150 },
    );
  });
});

/** Kernels of a program, in order. */
function kernelsOf(text: string): string[] {
  const kinds: string[] = [];
  visitSteps(lower(parseGraph(text)).steps, (step) => kinds.push(step.kind));
  return kinds;
}

describe("fusion", () => {
  it("makes one kernel of an elementwise chain with broadcasts", () => {
    const kinds = kernelsOf(`graph(%0: float32[4,8], %1: float32[8]) {
      %2: float32[4,8] = broadcast_in_dim{dims=[1], shape=[4,8]}(%1)
      %3: float32[4,8] = mul(%0, %2)
      %4: float32[4,8] = logistic(%3)
      %5: float32[4,8] = mul(%3, %4)
      return (%5)
    }`);
    expect(kinds).toEqual(["map"]);
  });

  it("makes bias and activation the epilogue of a contraction, and keeps what else is read", () => {
    const kinds = kernelsOf(`graph(%0: float32[4,8], %1: float32[8,3], %2: float32[3]) {
      %3: float32[4,3] = dot_general{batch=[[],[]], contracting=[[1],[0]]}(%0, %1)
      %4: float32[4,3] = broadcast_in_dim{dims=[1], shape=[4,3]}(%2)
      %5: float32[4,3] = add(%3, %4)
      %6: float32[4,3] = tanh(%5)
      return (%5, %6)
    }`);
    expect(kinds).toEqual(["contract"]);
  });

  it("makes what follows a sum its epilogue, over axes of size 1 as well", () => {
    const kinds = kernelsOf(`graph(%0: float32[4,8]) {
      %1: float32[4] = reduce_sum{axes=[1]}(%0)
      %2: float32[1,4,1] = reshape{shape=[1,4,1]}(%1)
      %3: float32[1,4,1] = tanh(%2)
      %4: float32[1,4,1] = sqrt(%3)
      return (%4)
    }`);
    expect(kinds).toEqual(["reduce"]);
  });

  it("makes three kernels of a softmax", () => {
    const kinds = kernelsOf(`graph(%0: float32[4,8]) {
      %1: float32[4] = reduce_max{axes=[1]}(%0)
      %2: float32[4,8] = broadcast_in_dim{dims=[0], shape=[4,8]}(%1)
      %3: float32[4,8] = sub(%0, %2)
      %4: float32[4,8] = exp(%3)
      %5: float32[4] = reduce_sum{axes=[1]}(%4)
      %6: float32[4,8] = broadcast_in_dim{dims=[0], shape=[4,8]}(%5)
      %7: float32[4,8] = div(%4, %6)
      return (%7)
    }`);
    expect(kinds).toEqual(["reduce", "map", "reduce", "map"]);
  });

  it("has a kernel wait for what its only reader needs besides", () => {
    const kinds = kernelsOf(`graph(%0: float32[8,4], %1: float32[4,6], %2: float32[4]) {
      %3: float32[8,6] = dot_general{batch=[[],[]], contracting=[[1],[0]]}(%0, %1)
      %4: float32[6] = pad{high=[2], interior=[0], low=[0]}(%2)
      %5: float32[8,6] = broadcast_in_dim{dims=[1], shape=[8,6]}(%4)
      %6: float32[8,6] = add(%3, %5)
      return (%6)
    }`);
    expect(kinds).toEqual(["map", "map", "contract"]);
  });

  it("commits a loop's carry in the kernel that computes it", () => {
    const kinds = kernelsOf(`graph(%0: float32[3], %1: float32[5,3]) {
      %2: float32[3], %3: float32[5,3] = scan{body=graph(%0: float32[3], %1: float32[3]) {
        %2: float32[3] = add(%0, %1)
        %3: float32[3] = tanh(%2)
        return (%3, %2)
      }, carry=1, consts=0, length=5, reverse=false}(%0, %1)
      return (%2, %3)
    }`);
    expect(kinds.filter((kind) => kind === "map").length).toBeLessThanOrEqual(4);
    expect(kinds.slice(0, 3)).toEqual(["map", "for", "map"]);
  });
});

describe("loops over blocks of rows", () => {
  const rows = 48;
  const blocked = parseGraph(`graph(%0: float32[4,4], %1: float32[${rows},4], %2: float32[5,${rows},4]) {
    %3: float32[${rows},4], %4: float32[5,${rows},4] = scan{body=graph(%0: float32[4,4], %1: float32[${rows},4], %2: float32[${rows},4]) {
      %3: float32[${rows},4] = dot_general{batch=[[],[]], contracting=[[1],[0]]}(%1, %0)
      %4: float32[${rows},4] = add(%3, %2)
      %5: float32[${rows},4] = tanh(%4)
      return (%5, %5)
    }, carry=1, consts=1, length=5, reverse=false}(%0, %1, %2)
    return (%3, %4)
  }`);

  it("may run in any order, with locals of their own", () => {
    const program = lower(blocked);
    const loops = program.steps.filter((step) => step.kind === "for");
    expect(loops.map(({ length }) => length)).toEqual([3]);
    expect(loops[0]!.locals!.length).toBeGreaterThan(0);
    expect(planMemory(program, 16).local.bytes).toBeGreaterThan(0);
    expectSame(
      blocked,
      blocked.inputs.map(({ type }, i) => Float32Array.from({ length: sizeOf(type.shape) }, (_, j) => Math.sin(i + j))),
    );
  });
});

describe("the printer", () => {
  it("names what several operations use", () => {
    const program = lower(
      parseGraph(`graph(%0: float32[4]) {
      %1: float32[4] = tanh(%0)
      %2: float32[4] = mul(%1, %1)
      %3: float32[4] = add(%2, %1)
      return (%3)
    }`),
    );
    expect(printProgram(program)).toBe(
      [
        "program(in0: float32[4]) -> (out0: float32[4]) {",
        "  let $0 = tanh(in0<1>)",
        "  map [4] { out0<1> = add(mul($0, $0), $0) }  # 32 bytes, 60 flops",
        "}",
      ].join("\n"),
    );
  });

  it("is linear in the operations, however often their values are used", () => {
    const lines = Array.from({ length: 40 }, (_, i) => [
      `%${2 * i + 1}: float32[4] = mul(%${2 * i}, %${2 * i})`,
      `%${2 * i + 2}: float32[4] = add(%${2 * i + 1}, %${2 * i})`,
    ]).flat();
    const program = lower(parseGraph(`graph(%0: float32[4]) {\n${lines.join("\n")}\nreturn (%80)\n}`));
    expect(printProgram(program).length).toBeLessThan(10_000);
  });
});

describe("operands of contractions in loops", () => {
  const body = (contracting: string): string => `graph(%0: float32[8,8], %1: float32[32,8], %2: float32[32,8]) {
      %3: float32[32,8] = dot_general{batch=[[],[]], contracting=${contracting}}(%1, %0)
      %4: float32[32,8] = add(%3, %2)
      return (%4)
    }`;
  const scanned = (contracting: string) =>
    parseGraph(`graph(%0: float32[8,8], %1: float32[32,8], %2: float32[5,32,8]) {
    %3: float32[32,8] = scan{body=${body(contracting)}, carry=1, consts=1, length=5, reverse=false}(%0, %1, %2)
    return (%3)
  }`);

  it.each([
    ["is turned round once before the loop where it lies along k", "[[1],[1]]", 1],
    ["stays where it is otherwise", "[[1],[0]]", 0],
  ])("the right one %s", (_, contracting, copies) => {
    const graph = scanned(contracting);
    const program = lower(graph);
    expect(program.temporaries.filter(({ name }) => name.startsWith("turned"))).toHaveLength(copies);
    expectSame(
      graph,
      graph.inputs.map(({ type }, i) => Float32Array.from({ length: sizeOf(type.shape) }, (_, j) => Math.sin(i + j))),
    );
  });
});

describe("the memory plan", () => {
  it("lets temporaries that never live together share memory", () => {
    const chain = Array.from({ length: 6 }, (_, i) => [
      `%${2 * i + 1}: float32[256] = reduce_max{axes=[1]}(%${2 * i})`,
      `%${2 * i + 2}: float32[256,256] = broadcast_in_dim{dims=[0], shape=[256,256]}(%${2 * i + 1})`,
    ]).flat();
    const program = lower(parseGraph(`graph(%0: float32[256,256]) {\n${chain.join("\n")}\nreturn (%12)\n}`));
    expect(planMemory(program, 16).bytes).toBeLessThanOrEqual(2 * 256 * 4);
  });
});
