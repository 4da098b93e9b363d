import { describe, expect, it } from "vitest";
import { DTypeError, GraphError } from "../../src/errors.ts";
import { type Equation, type Graph, literal, Var } from "../../src/ir/graph.ts";
import { verify } from "../../src/ir/verify.ts";

const vector = (): Var => new Var({ dtype: "float32", shape: [2] });
const neg = (from: Var, to: Var): Equation => ({ primitive: "neg", params: {}, inputs: [from], outputs: [to] });

describe("verify", () => {
  const [x, y, z] = [vector(), vector(), vector()];
  const graph = (equations: readonly Equation[], outputs: Graph["outputs"]): Graph => ({
    inputs: [x],
    equations,
    outputs,
  });

  it("accepts a closed, typed graph", () => {
    expect(() => verify(graph([neg(x, y), neg(y, z)], [z, x, literal("float32", 1)]))).not.toThrow();
  });

  it.each([
    [
      "a value used before it is assigned",
      [neg(y, z), neg(x, y)],
      [z],
      /equation 0 \(neg\): float32\[2\] is used before/,
    ],
    ["a value assigned twice", [neg(x, y), neg(x, y)], [y], /equation 1 \(neg\).*assigned twice/],
    ["an input assigned again", [neg(x, x)], [x], /assigned twice/],
    ["a result of another graph", [], [y], /graph outputs/],
    ["a wrong result type", [neg(x, new Var({ dtype: "float32", shape: [3] }))], [x], /inference says/],
  ])("refuses %s", (_, equations, outputs, message) => {
    expect(() => verify(graph(equations, outputs))).toThrow(GraphError);
    expect(() => verify(graph(equations, outputs))).toThrow(message);
  });

  it("looks into nested graphs", () => {
    const body: Graph = { inputs: [], equations: [], outputs: [y] };
    const params = { body, consts: 0, carry: 1, length: 1, reverse: false };
    const scan: Equation = { primitive: "scan", params, inputs: [x], outputs: [z] };
    expect(() => verify(graph([scan], [z]))).toThrow(/used before/);
  });
});

describe("literals", () => {
  it("are rounded to what their dtype holds, or refused", () => {
    expect(literal("float32", 0.1).value).toBe(Math.fround(0.1));
    expect(literal("bool", true).value).toBe(1);
    expect(() => literal("int32", 0.5)).toThrow(DTypeError);
    expect(() => literal("uint32", -1)).toThrow(DTypeError);
  });
});
