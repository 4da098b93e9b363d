import { describe, expect, it } from "vitest";
import { DTypeError, GraphError, ShapeError } from "../../src/errors.ts";
import { Var } from "../../src/ir/graph.ts";
import { parseGraph } from "../../src/ir/parse.ts";
import { compileGraph, evaluateGraph } from "../../src/reference/interpret.ts";
import { run } from "./run.ts";

describe("evaluateGraph", () => {
  it("returns inputs, literals and repeated values as arrays of their own", () => {
    const graph = parseGraph("graph(%0: float32[1]) { %1: float32[1] = neg(%0) return (%0, %1, %1, float32(4)) }");
    const input = Float32Array.of(2);
    const outputs = evaluateGraph(graph, [input]);
    expect(outputs.map((array) => Array.from(array))).toEqual([[2], [-2], [-2], [4]]);
    expect(new Set([input, ...outputs]).size).toBe(5);
  });

  it("keeps a value that is an output and is read later", () => {
    const text = `graph(%0: float32[]) {
      %1: float32[] = neg(%0) %2: float32[] = mul(%1, %1) %3: float32[] = add(%2, %1) return (%3, %1)
    }`;
    expect(run(text, [3])).toEqual([[6], [-3]]);
  });

  it("does not let a reshaped value be overwritten while its other name is in use", () => {
    const text = `graph(%0: float32[2]) {
      %1: float32[2] = neg(%0)
      %2: float32[2,1] = reshape{shape=[2,1]}(%1)
      %3: float32[2] = exp(%0)
      %4: float32[2] = mul(%3, %3)
      %5: float32[2,1] = neg(%2)
      return (%5)
    }`;
    expect(run(text, [1, 2])).toEqual([[1, 2]]);
  });

  it("names the input that does not fit", () => {
    const graph = parseGraph("graph(%0: float32[], %1: float32[2]) { return (%0) }");
    const scalar = Float32Array.of(1);
    expect(() => evaluateGraph(graph, [scalar])).toThrow(ShapeError);
    expect(() => evaluateGraph(graph, [scalar, scalar])).toThrow(/input 1: float32\[2\] has 2 elements, got 1/);
    expect(() => evaluateGraph(graph, [scalar, Int32Array.of(1, 2)])).toThrow(DTypeError);
  });

  it("verifies the graph", () => {
    const stray = new Var({ dtype: "float32", shape: [] });
    expect(() => evaluateGraph({ inputs: [], equations: [], outputs: [stray] }, [])).toThrow(GraphError);
  });
});

describe("temporaryBytes", () => {
  const chain = (n: number): string => {
    const steps = Array.from({ length: n }, (_, i) => `%${i + 1}: float64[100] = neg(%${i})`);
    return `graph(%0: float64[100]) { ${steps.join(" ")} return (%${n}) }`;
  };

  it("is the most that is live at once, results not counted", () => {
    expect(compileGraph(parseGraph(chain(1))).temporaryBytes).toBe(0);
    expect(compileGraph(parseGraph(chain(2))).temporaryBytes).toBe(800);
    expect(compileGraph(parseGraph(chain(10))).temporaryBytes).toBe(1600);
  });

  it("includes the body of a loop", () => {
    const text = `graph(%0: float64[100]) {
      %1: float64[100] = scan{carry=1, consts=0, length=4, reverse=false, body=${chain(3)}}(%0) return (%1)
    }`;
    // The second place of the carry, and two temporaries of the body.
    expect(compileGraph(parseGraph(text)).temporaryBytes).toBe(800 + 1600);
  });
});
