import { describe, expect, it } from "vitest";
import { ArgumentError } from "../../src/errors.ts";
import { initNorm, l2Normalize, layerNorm, rmsNorm } from "../../src/nn/normalization.ts";
import { array } from "../../src/runtime/host-tensor.ts";
import { evaluate, f64, randn, relativeError, rowsOf } from "./evaluate.ts";

const mean = (xs: readonly number[]): number => xs.reduce((a, b) => a + b, 0) / xs.length;

describe("layerNorm and rmsNorm", () => {
  const x = randn(1, [2, 3, 6]);
  const [weight, bias] = [randn(2, [6]), randn(3, [6])];

  it("layerNorm centres, scales and maps", () => {
    const expected = rowsOf(x, 6).flatMap((row) => {
      const m = mean(row);
      const deviation = Math.sqrt(mean(row.map((v) => (v - m) ** 2)) + 1e-6);
      return row.map((v, i) => ((v - m) / deviation) * weight.data[i]! + bias.data[i]!);
    });
    const actual = evaluate((a, w, b) => layerNorm(a, { weight: w, bias: b, eps: 1e-6 }), x, weight, bias);
    expect(relativeError(actual.data, expected)).toBeLessThan(1e-14);
    expect(actual.type).toEqual(x.type);
  });

  it("rmsNorm scales by the root mean square", () => {
    const expected = rowsOf(x, 6).flatMap((row) => {
      const root = Math.sqrt(mean(row.map((v) => v * v)) + 1e-5);
      return row.map((v, i) => (v / root) * weight.data[i]!);
    });
    expect(relativeError(evaluate((a, w) => rmsNorm(a, { weight: w }), x, weight).data, expected)).toBeLessThan(1e-14);
  });

  it("are finite at 0", () => {
    const zero = array([[0, 0, 0]]);
    expect(evaluate((a) => layerNorm(a), zero).toNested()).toEqual([[0, 0, 0]]);
    expect(evaluate((a) => rmsNorm(a), zero).toNested()).toEqual([[0, 0, 0]]);
  });

  it("start as the identity map of what is normalised", () => {
    expect(initNorm({ features: 2 }).weight.toNested()).toEqual([1, 1]);
    expect("bias" in initNorm({ features: 2 })).toBe(false);
    const params = initNorm({ features: 2, bias: true, dtype: "float64" });
    expect(params.bias?.toNested()).toEqual([0, 0]);
    expect(params.weight.dtype).toBe("float64");
  });
});

describe("l2Normalize", () => {
  it("gives unit vectors along an axis", () => {
    const x = randn(4, [3, 5]);
    const rows = rowsOf(x, 5);
    const expected = rows.flatMap((row) => row.map((v) => v / Math.hypot(...row)));
    expect(relativeError(evaluate((a) => l2Normalize(a), x).data, expected)).toBeLessThan(1e-14);
    const columns = evaluate((a) => l2Normalize(a, { axis: 0 }).square().sum({ axes: 0 }), x);
    expect(relativeError(columns.data, [1, 1, 1, 1, 1])).toBeLessThan(1e-14);
  });

  it("divides short vectors by eps", () => {
    const x = f64([2, 2], [3e-7, -4e-7, 0, 0]);
    const actual = evaluate((a) => l2Normalize(a, { eps: 1e-5 }), x).data;
    expect(relativeError(actual, [0.03, -0.04, 0, 0])).toBeLessThan(1e-14);
  });

  it("survives an eps whose square underflows", () => {
    const x = array([[0, 0], [3, 4]]); // prettier-ignore
    const actual = evaluate((a) => l2Normalize(a, { eps: 1e-30 }), x).data;
    expect(relativeError(actual, [0, 0, 0.6, 0.8])).toBeLessThan(1e-7);
    expect(() => evaluate((a) => l2Normalize(a, { eps: 0 }), x)).toThrow(ArgumentError);
  });
});
