import { describe, expect, it } from "vitest";
import { literal } from "../../src/ir/graph.ts";
import { roundToHalf } from "../../src/ir/half.ts";
import { parseGraph } from "../../src/ir/parse.ts";
import { printGraph } from "../../src/ir/print.ts";

describe("roundToHalf", () => {
  it.each([
    [0, 0],
    [-0, -0],
    [1, 1],
    [1 + 2 ** -11, 1], // a tie goes to the even neighbour
    [1 + 3 * 2 ** -11, 1 + 2 ** -9],
    [1 + 2 ** -11 + 2 ** -20, 1 + 2 ** -10],
    [-2049, -2048],
    [65504, 65504],
    [65519, 65504],
    [65520, Infinity],
    [-1e9, -Infinity],
    [2 ** -24, 2 ** -24],
    [2 ** -25, 0],
    [-(2 ** -26), -0],
    [3 * 2 ** -25, 2 ** -23],
    [2 ** -14 - 2 ** -26, 2 ** -14],
    [Infinity, Infinity],
    [NaN, NaN],
  ])("%d -> %d", (x, expected) => {
    expect(roundToHalf(x)).toBe(expected);
  });
});

describe("a float16 literal", () => {
  it("is rounded to half precision, also when it is read from text", () => {
    expect(literal("float16", 2049).value).toBe(2048);
    expect(literal("float16", 0.1).value).toBe(0.0999755859375);
    expect(literal("float16", 70000).value).toBe(Infinity);
    // Rounding to float32 first would make this a tie, and the tie goes to 1.
    expect(literal("float16", 1 + 2 ** -11 + 2 ** -40).value).toBe(1 + 2 ** -10);
    expect(printGraph(parseGraph("graph() { return (float16(2049)) }"))).toContain("float16(2048)");
  });
});
