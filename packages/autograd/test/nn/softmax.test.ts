import { describe, expect, it } from "vitest";
import { ShapeError } from "../../src/errors.ts";
import { logSoftmax, logSumExp, softmax } from "../../src/nn/softmax.ts";
import { array } from "../../src/runtime/host-tensor.ts";
import { evaluate, f64, randn, relativeError, rowsOf } from "./evaluate.ts";

const sum = (xs: readonly number[]): number => xs.reduce((a, b) => a + b, 0);

describe("softmax, logSoftmax and logSumExp", () => {
  const x = randn(1, [4, 5]);
  const rows = rowsOf(x, 5);

  it("agree with their definitions", () => {
    const lse = rows.map((row) => Math.log(sum(row.map(Math.exp))));
    expect(relativeError(evaluate((a) => logSumExp(a), x).data, lse)).toBeLessThan(1e-14);
    const logs = rows.flatMap((row, i) => row.map((v) => v - lse[i]!));
    expect(relativeError(evaluate((a) => logSoftmax(a), x).data, logs)).toBeLessThan(1e-14);
    expect(relativeError(evaluate((a) => softmax(a), x).data, logs.map(Math.exp))).toBeLessThan(1e-14);
  });

  it("take any axis and may keep it", () => {
    const columns = evaluate((a) => softmax(a, { axis: 0 }).sum({ axes: 0 }), x).data;
    expect(relativeError(columns, [1, 1, 1, 1, 1])).toBeLessThan(1e-14);
    expect(evaluate((a) => logSumExp(a, { axis: 0, keepDims: true }), x).shape).toEqual([1, 5]);
    expect(() => evaluate((a) => softmax(a, { axis: 2 }), x)).toThrow(ShapeError);
  });

  it("do not overflow", () => {
    const large = array([1e4, 1e4, -1e4]);
    expect(evaluate((a) => logSumExp(a), large).item()).toBeCloseTo(1e4 + Math.log(2), 2);
    expect(evaluate((a) => softmax(a), large).toNested()).toEqual([0.5, 0.5, 0]);
  });

  it("give -Infinity weight 0", () => {
    const masked = f64([3], [0, -Infinity, 0]);
    expect(evaluate((a) => softmax(a), masked).toNested()).toEqual([0.5, 0, 0.5]);
    expect(evaluate((a) => logSumExp(a), masked).item()).toBeCloseTo(Math.log(2), 15);
    expect(evaluate((a) => logSumExp(a), f64([2], [-Infinity, -Infinity])).item()).toBe(-Infinity);
    expect(evaluate((a) => logSumExp(a), f64([2], [Infinity, 0])).item()).toBe(Infinity);
    expect(evaluate((a) => logSumExp(a), f64([2], [Number.NaN, 0])).item()).toBeNaN();
  });
});
