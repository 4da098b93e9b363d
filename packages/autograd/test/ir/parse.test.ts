import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BanachError, DTypeError, GraphError, ShapeError } from "../../src/errors.ts";
import { parseGraph } from "../../src/ir/parse.ts";
import { printGraph } from "../../src/ir/print.ts";
import { randomGraph } from "../../src/testing/random-graphs.ts";

const graph = (body: string): string => `graph(%0: float32[2,3]) {\n  ${body}\n  return (%1)\n}`;

describe("parseGraph", () => {
  it("reads what printGraph writes, in any layout", () => {
    const text = graph("%1: float32[3,2] = transpose{permutation=[1,0]}(%0)");
    expect(printGraph(parseGraph(text))).toBe(text);
    expect(printGraph(parseGraph(text.replaceAll(/\s+/g, "  \n")))).toBe(text);
  });

  it("keeps literals exactly", () => {
    for (const value of ["NaN", "Infinity", "-Infinity", "-0", "1e-45", "3.4028234663852886e+38", "0.1"]) {
      const dtype = value === "0.1" ? "float64" : "float32";
      const text = `graph() {\n  return (${dtype}(${value}))\n}`;
      const read = printGraph(parseGraph(text));
      expect(printGraph(parseGraph(read))).toBe(read);
      expect(read).toContain(value === "1e-45" ? "1.401298464324817e-45" : value);
    }
  });

  it.each([
    ["", /expected 'graph', found 'the end of the text'/],
    ["graph(%0: float32[2]) {", /expected .* found 'the end of the text'/],
    ["graph(%0 float32[2]) { return (%0) }", /expected ':'/],
    ["graph(%0: float8[2]) { return (%0) }", /expected a dtype/],
    ["graph(%0: float32[2]) { return (%1) }", /%1 is used before it is assigned/],
    ["graph(%0: float32[2], %0: float32[2]) { return (%0) }", /%0 is assigned twice/],
    ["graph(%0: float32[2]) { return (%0) } x", /expected the end of the text, found 'x'/],
    ["graph() { return (float32(abc)) }", /expected a number, found 'abc/],
    [graph("%1: float32[2,3] = negate(%0)"), /no primitive is called 'negate'/],
    [graph("%1: float32[3,2] = transpose(%0)"), /transpose: parameter 'permutation' \(integers\) is missing/],
    [graph("%1: float32[6] = reshape{shape=6}(%0)"), /reshape: parameter 'shape' must be integers/],
    [graph("%1: bool[2,3] = compare{direction=foo}(%0, %0)"), /compare: parameter 'direction'/],
    [graph("%1: float32[2,3] = neg{axis=1}(%0)"), /neg: has no parameter 'axis'/],
    [graph("%1: float32[2,3] = neg{__proto__=1}(%0)"), /neg: has no parameter '__proto__'/],
    [graph("%1: float32[2,3] = linear_recurrence{axis=0, reverse=1}(%0, %0)"), /'reverse' must be boolean/],
    [graph("%1: float32[6] = reshape{shape=[6], shape=[2,3]}(%0)"), /at 64: parameter 'shape' is given twice/],
    ["graph(%0: float32[2,-3]) { return (%0) }", /at 17: float32\[2,-3\]: dimensions must be non-negative/],
    ["graph(%0: float32[2,1.5]) { return (%0) }", /at 17: .*must be non-negative integers, got 1.5/],
    ["graph(%0: float32[x]) { return (%0) }", /at 18: expected a dimension, found 'x\]/],
    ["graph(%0: float64[9007199254740991]) { return (%0) }", /at 17: .*more bytes than/],
    ["graph() { return ( int32(0.5)) }", /at 19: 0.5 is not an int32/],
    [graph("%1: float32[3,2] = neg(%0)"), /results are \(float32\[3,2\]\), inference says \(float32\[2,3\]\)/],
  ])("refuses %j", (text, message) => {
    expect(() => parseGraph(text)).toThrow(GraphError);
    expect(() => parseGraph(text)).toThrow(message);
  });

  it("keeps the error of a type or a literal as the cause", () => {
    const causeOf = (text: string): unknown => {
      try {
        parseGraph(text);
      } catch (error) {
        return error instanceof Error ? error.cause : undefined;
      }
      return undefined;
    };
    expect(causeOf("graph(%0: bool[-1]) { return (%0) }")).toBeInstanceOf(ShapeError);
    expect(causeOf("graph() { return (uint32(-1)) }")).toBeInstanceOf(DTypeError);
  });

  it("refuses text nested too deep, before the call stack ends", () => {
    const lists = "[".repeat(100_000);
    const graphs = "graph() { %0: float32[] = scan{body=".repeat(20_000);
    for (const text of [`graph() { %0: float32[] = reshape{shape=${lists}`, graphs]) {
      expect(() => parseGraph(text)).toThrow(GraphError);
      expect(() => parseGraph(text)).toThrow(/graph text at \d+: nested deeper than 64 levels/);
    }
  });

  it("leaves wrong operands to inference", () => {
    expect(() => parseGraph(graph("%1: float32[3,2] = transpose{permutation=[1,1]}(%0)"))).toThrow(ShapeError);
    expect(() => parseGraph(graph("%1: bool[2,3] = not(%0)"))).toThrow(DTypeError);
  });

  it("answers damaged text with an error of its own, or reads it", () => {
    const damage = fc.record({
      at: fc.nat(4000),
      remove: fc.nat(6),
      insert: fc.constantFrom("", "(", "]", "%0", "x", "-1", "graph"),
    });
    fc.assert(
      fc.property(randomGraph(), damage, ({ graph: program }, { at, remove, insert }) => {
        const text = printGraph(program);
        const start = at % text.length;
        const damaged = text.slice(0, start) + insert + text.slice(start + remove);
        try {
          const again = printGraph(parseGraph(damaged));
          expect(printGraph(parseGraph(again))).toBe(again);
        } catch (error) {
          expect(error).toBeInstanceOf(BanachError);
        }
      }),
      { numRuns: 400, seed: 1 },
    );
  });
});
