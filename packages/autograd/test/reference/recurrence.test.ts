import { describe, expect, it } from "vitest";
import { call } from "./run.ts";

const recur = (shape: string, axis: number, reverse: boolean, a: number[], b: number[]): number[] =>
  call(
    `linear_recurrence{axis=${axis}, reverse=${reverse}}`,
    `float32${shape}`,
    [`float32${shape}`, `float32${shape}`],
    a,
    b,
  );

describe("linear_recurrence", () => {
  it("starts from 0 and runs forwards", () => {
    expect(recur("[3]", 0, false, [9, 2, 3], [1, 1, 1])).toEqual([1, 3, 10]);
  });

  it("runs from the far end when reversed", () => {
    expect(recur("[3]", 0, true, [3, 2, 9], [1, 1, 1])).toEqual([10, 3, 1]);
  });

  it("keeps rows and blocks apart", () => {
    const a = [1, 2, 1, 2, 1, 2, 1, 2];
    const b = [1, 1, 1, 1, 2, 2, 2, 2];
    expect(recur("[2,2,2]", 1, false, a, b)).toEqual([1, 1, 2, 3, 2, 2, 4, 6]);
    expect(recur("[2,2,2]", 0, false, a, b)).toEqual([1, 1, 1, 1, 3, 4, 3, 4]);
    expect(recur("[2,2,2]", 2, true, a, b)).toEqual([2, 1, 2, 1, 4, 2, 4, 2]);
  });

  it("takes lengths 0 and 1", () => {
    expect(recur("[2,0]", 1, false, [], [])).toEqual([]);
    expect(recur("[2,1]", 1, true, [5, 5], [1, 2])).toEqual([1, 2]);
  });

  it("rounds h at each step", () => {
    const h = recur("[3]", 0, false, [1, 1, 1], [2 ** 24, 1, 1]);
    expect(h).toEqual([2 ** 24, 2 ** 24, 2 ** 24]);
  });
});
