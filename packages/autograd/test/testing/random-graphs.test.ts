import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import type { Graph } from "../../src/ir/graph.ts";
import { nestedGraphs } from "../../src/ir/graph.ts";
import { parseGraph } from "../../src/ir/parse.ts";
import { PRIMITIVES } from "../../src/ir/primitives.ts";
import { printGraph } from "../../src/ir/print.ts";
import { type HostArray, isFloat } from "../../src/ir/tensor-type.ts";
import { verify } from "../../src/ir/verify.ts";
import { mul, sin } from "../../src/ops/elementwise.ts";
import { optimize, passes } from "../../src/passes/index.ts";
import { referenceBackend } from "../../src/reference/backend.ts";
import { evaluateGraph } from "../../src/reference/interpret.ts";
import type { Backend } from "../../src/runtime/backend.ts";
import { complexStep } from "../../src/testing/audit/complex.ts";
import { ComplexStepRefused } from "../../src/testing/audit/complex-scalar.ts";
import { dot, norm } from "../../src/testing/audit/vectors.ts";
import { ConformanceError } from "../../src/testing/conformance/compare.ts";
import { normals } from "../../src/testing/data.ts";
import { kernelFaults, withFault } from "../../src/testing/faults/kernel-faults.ts";
import { pullbackGraph, replacePrimitive, retype, widen } from "../../src/testing/graph-tools.ts";
import { compareRandomGraph } from "../../src/testing/random-graphs/compare.ts";
import { randomGraph } from "../../src/testing/random-graphs.ts";
import { graphOf } from "../../src/testing/sample.ts";
import { vjpTable } from "../../src/vjp/table.ts";

const seen = new Set<string>();

function property(name: string, numRuns: number, smooth: boolean, check: (graph: Graph, inputs: HostArray[]) => void) {
  it(name, () => {
    fc.assert(
      fc.property(randomGraph({ smooth }), ({ graph, inputs }) => {
        note(graph);
        check(graph, [...inputs]);
      }),
      { numRuns, seed: 0x5eed },
    );
  });
}

function note(graph: Graph): void {
  for (const equation of graph.equations) {
    seen.add(equation.primitive);
    for (const [, nested] of nestedGraphs(equation)) note(nested);
  }
}

/** Equal numbers, NaN where NaN is; the sign of a zero is free. */
function expectSame(actual: readonly HostArray[], expected: readonly HostArray[]): void {
  expect(actual.length).toBe(expected.length);
  actual.forEach((x, k) => {
    const y = expected[k]!;
    expect(x.length).toBe(y.length);
    for (let i = 0; i < x.length; i++) {
      if (x[i] !== y[i] && !(Number.isNaN(x[i]) && Number.isNaN(y[i]))) expect(x).toEqual(y);
    }
  });
}

describe("random graphs", () => {
  property("verify", 200, false, (graph) => {
    verify(graph);
  });

  property("print, parse and print to the same text", 200, false, (graph) => {
    const text = printGraph(graph);
    expect(printGraph(parseGraph(text))).toBe(text);
  });

  for (const [name, pass] of Object.entries({ ...passes, optimize })) {
    property(`mean the same after ${name}`, 150, false, (graph, inputs) => {
      const wide = retype(graph);
      const passed = pass(wide);
      verify(passed);
      const data = widen(graph, inputs);
      expectSame(evaluateGraph(passed, data), evaluateGraph(wide, data));
    });
  }

  property("have gradients that mean the same after optimize", 80, true, (graph, inputs) => {
    const wide = retype(graph);
    const wrt = wide.inputs.flatMap((v, i) => (isFloat(v.type.dtype) ? [i] : []));
    const backward = pullbackGraph(wide, vjpTable, wrt);
    verify(backward);
    const floats = wide.outputs.filter((atom) => isFloat(atom.type.dtype));
    const u = floats.map((atom, i) =>
      normals(
        2,
        i,
        atom.type.shape.reduce((a, b) => a * b, 1),
      ),
    );
    const data = [...widen(graph, inputs), ...u];
    expectSame(evaluateGraph(optimize(backward), data), evaluateGraph(backward, data));
  });

  property("have gradients that pass the dot-product test", 150, true, (graph, inputs) => {
    const wide = retype(graph);
    const data = widen(graph, inputs);
    const wrt = wide.inputs.flatMap((v, i) => (isFloat(v.type.dtype) ? [i] : []));
    const v = wide.inputs.map((_, i) => (wrt.includes(i) ? normals(3, i, data[i]!.length) : null));
    try {
      const jv = complexStep(wide, data, v);
      const u = jv.map((y, i) => normals(4, i, y.length));
      const jtu = evaluateGraph(pullbackGraph(wide, vjpTable, wrt), [...data, ...u]);
      const along = wrt.map((i) => v[i]!);
      const scale = norm(jv) * norm(u) + norm(along) * norm(jtu);
      expect(Math.abs(dot(jv, u) - dot(along, jtu))).toBeLessThanOrEqual(1e-10 * scale);
    } catch (error) {
      if (!(error instanceof ComplexStepRefused)) throw error;
      fc.pre(false);
    }
  });

  it("show a pass that is wrong, on a program of few equations", () => {
    const wrong = (graph: Graph): Graph => replacePrimitive(graph, "cos", ([x]) => (x ? [sin(x)] : []));
    const found = fc.check(
      fc.property(randomGraph(), ({ graph, inputs }) => {
        const [wide, data] = [retype(graph), widen(graph, inputs)];
        expectSame(evaluateGraph(wrong(wide), data), evaluateGraph(wide, data));
      }),
      { numRuns: 300, seed: 0x5eed },
    );
    expect(found.failed).toBe(true);
    expect(found.counterexample?.[0].graph.equations.length).toBeLessThanOrEqual(3);
  });

  it("are compared with the interpreter: a wrong kernel is refused, nothing is left on the backend", async () => {
    const backend = referenceBackend();
    const sine = kernelFaults.find(({ primitive }) => primitive === "sin")!;
    let compared = 0;
    const compare = (on: Backend, numRuns: number) =>
      fc.check(
        fc.asyncProperty(randomGraph({ smooth: true }), async (program) => {
          compared += await compareRandomGraph(on, program);
        }),
        { numRuns, seed: 0x5eed },
      );
    expect((await compare(backend, 40)).failed).toBe(false);
    expect(compared).toBeGreaterThan(500);
    const found = await compare(withFault(backend, sine), 300);
    expect(found.errorInstance).toBeInstanceOf(ConformanceError);
    expect(found.counterexample?.[0].graph.equations.length).toBeLessThanOrEqual(8);
    expect(backend.memory().liveBuffers).toBe(0);
  });

  it("are compared to 2e-3, and where there are infinities only as far as the device has them", async () => {
    const backend = referenceBackend();
    const graph = graphOf([{ dtype: "float32", shape: [3] }], ([x]) => [mul(x!, 2)]);
    const inputs = [Float32Array.of(1, 5, Infinity)];
    const off = (by: number): Backend => ({
      ...backend,
      read: async (buffer) => (await backend.read(buffer)).map((y) => (Number.isFinite(y) ? y + by : -y)),
    });
    const finite = (on: Backend): Backend => ({ ...on, limits: { ...on.limits, ieeeNonFinite: false } });
    // Of the largest finite result, 10; as it is and optimised.
    expect(await compareRandomGraph(finite(off(0.019)), { graph, inputs })).toBe(4);
    await expect(compareRandomGraph(finite(off(0.021)), { graph, inputs })).rejects.toThrow(ConformanceError);
    await expect(compareRandomGraph(off(0), { graph, inputs })).rejects.toThrow(ConformanceError);
    expect(await compareRandomGraph(backend, { graph, inputs })).toBe(6);
  });

  afterAll(() => {
    expect(PRIMITIVES.filter((name) => !seen.has(name))).toEqual([]);
    console.log(`random graphs: ${seen.size} primitives`);
  });
});
