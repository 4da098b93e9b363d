import { describe, expect, it } from "vitest";
import { roundToHalf } from "../../src/reference/half.ts";
import { call } from "./run.ts";

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

describe("float16", () => {
  it("is rounded when it is stored, results and inputs alike", () => {
    expect(call("add", "float16[2]", ["float16[2]", "float16[2]"], [2048, 1], [1, 2 ** -11])).toEqual([2048, 1]);
    expect(call("neg", "float16[1]", ["float16[1]"], [2049])).toEqual([-2048]);
    expect(call("convert_element_type{dtype=float16}", "float16[1]", ["float32[1]"], [70000])).toEqual([Infinity]);
  });

  it("is rounded at every step of a recurrence", () => {
    const ones = Array<number>(3).fill(1);
    const h = call(
      "linear_recurrence{axis=0, reverse=false}",
      "float16[3]",
      ["float16[3]", "float16[3]"],
      ones,
      [2048, 1, 1],
    );
    expect(h).toEqual([2048, 2048, 2048]);
  });
});
