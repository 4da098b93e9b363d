import { describe, expect, it } from "vitest";
import { ArgumentError, TraceError } from "../../src/errors.ts";
import { gamma, permutation } from "../../src/random/host.ts";
import { foldIn, key } from "../../src/random/key.ts";
import { array } from "../../src/runtime/host-tensor.ts";
import { traceOpen } from "../../src/trace/builder.ts";
import { chiSquare, ksStatistic, moments } from "./statistics.ts";

const N = 20_000;

describe("gamma", () => {
  it.each([
    [0.5, 2],
    [1, 1],
    [4, 2],
    [30, 0.1],
  ])("has the mean and the variance of alpha %f, scale %f", (alpha, scale) => {
    const { data } = gamma(key(1), [N], { alpha, scale, dtype: "float64" });
    const { mean, variance } = moments(data);
    const deviation = Math.sqrt(alpha) * scale;
    expect(Math.abs(mean - alpha * scale)).toBeLessThan((4 * deviation) / Math.sqrt(N));
    // Excess kurtosis is 6 / alpha.
    expect(Math.abs(variance / deviation ** 2 - 1)).toBeLessThan(4 * Math.sqrt((2 + 6 / alpha) / N));
    expect(data.every((x) => x > 0)).toBe(true);
  });

  it("has the distribution of alpha 1 and 4", () => {
    const exponential = gamma(key(2), [N], { alpha: 1, dtype: "float64" }).data;
    expect(ksStatistic(exponential, (x) => 1 - Math.exp(-x))).toBeLessThan(2.23);
    const erlang = gamma(key(3), [N], { alpha: 4, dtype: "float64" }).data;
    const cdf = (x: number): number => 1 - Math.exp(-x) * (1 + x + x ** 2 / 2 + x ** 3 / 6);
    expect(ksStatistic(erlang, cdf)).toBeLessThan(2.23);
  });

  it("draws element i from the key and i alone", () => {
    const few = gamma(key(4), [3], { alpha: 2 });
    const many = gamma(key(4), [2, 5], { alpha: 2 });
    expect(many.shape).toEqual([2, 5]);
    expect(Array.from(many.data.slice(0, 3))).toEqual(Array.from(few.data));
    expect(gamma(key(4), [], { alpha: 2 }).dtype).toBe("float32");
  });

  it("refuses bad parameters, keys and traces", () => {
    for (const alpha of [0, -1, Number.NaN, Infinity]) {
      expect(() => gamma(key(0), [], { alpha })).toThrow(ArgumentError);
    }
    expect(() => gamma(key(0), [], { alpha: 1, scale: 0 })).toThrow(ArgumentError);
    expect(() => gamma(array([1, 2]), [], { alpha: 1 })).toThrow(ArgumentError);
    const inTrace = (): unknown => traceOpen([], () => [gamma(key(0), [], { alpha: 1 }) as never]);
    expect(inTrace).toThrow(TraceError);
    expect(inTrace).toThrow(/before the traced function/);
  });
});

describe("permutation", () => {
  it("is a permutation", () => {
    for (const n of [0, 1, 2, 17, 1000]) {
      const { data, dtype, shape } = permutation(key(5), n);
      expect([dtype, shape]).toEqual(["int32", [n]]);
      expect(Array.from(data).sort((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, i) => i));
    }
  });

  it("has every order equally often", () => {
    const counts = new Map<string, number>();
    for (let i = 0; i < 12_000; i++) {
      const order = permutation(foldIn(key(6), i), 4).data.join();
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(24);
    expect(chiSquare([...counts.values()])).toBeLessThan(59); // 23 degrees of freedom, 5 in 100,000
  });

  it("refuses bad sizes and traces", () => {
    for (const n of [-1, 0.5, 2 ** 31]) expect(() => permutation(key(0), n)).toThrow(ArgumentError);
    expect(() => traceOpen([], () => [permutation(key(0), 3) as never])).toThrow(TraceError);
  });
});
