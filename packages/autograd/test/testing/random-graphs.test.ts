import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import type { Graph } from "../../src/ir/graph.ts";
import { nestedGraphs } from "../../src/ir/graph.ts";
import { parseGraph } from "../../src/ir/parse.ts";
import { PRIMITIVES } from "../../src/ir/primitives.ts";
import { printGraph } from "../../src/ir/print.ts";
import { type HostArray, isFloat } from "../../src/ir/tensor-type.ts";
import { verify } from "../../src/ir/verify.ts";
import { sin } from "../../src/ops/elementwise.ts";
import { optimize, passes } from "../../src/passes/index.ts";
import { evaluateGraph } from "../../src/reference/interpret.ts";
import { complexStep } from "../../src/testing/audit/complex.ts";
import { ComplexStepRefused } from "../../src/testing/audit/complex-scalar.ts";
import { dot, norm } from "../../src/testing/audit/vectors.ts";
import { normals } from "../../src/testing/data.ts";
import { pullbackGraph, replacePrimitive, retype, widen } from "../../src/testing/graph-tools.ts";
import { randomGraph } from "../../src/testing/random-graphs.ts";
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

  afterAll(() => {
    expect(PRIMITIVES.filter((name) => !seen.has(name))).toEqual([]);
    console.log(`random graphs: ${seen.size} primitives`);
  });
});
