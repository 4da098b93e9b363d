import { describe, expect, it } from "vitest";
import { ArgumentError, DTypeError } from "../../src/errors.ts";
import { array, type HostTensor } from "../../src/runtime/host-tensor.ts";
import { bernoulli, normal, uniform } from "../../src/random/distributions.ts";
import { eagerly } from "../../src/random/eager.ts";
import { erfinv } from "../../src/random/erfinv.ts";
import { key } from "../../src/random/key.ts";
import type { Tracer } from "../../src/trace/tracer.ts";
import { chiSquare, erf, ksStatistic, moments, normalCdf } from "./statistics.ts";

const N = 20_000;
/** Kolmogorov's distribution exceeds this once in 10,000 times; the seeds are fixed. */
const KS_LIMIT = 2.23;

describe("uniform", () => {
  it("is uniform on [low, high)", () => {
    const { data } = uniform(key(1), [N], { low: -2, high: 3 });
    expect(Math.min(...data)).toBeGreaterThanOrEqual(-2);
    expect(Math.max(...data)).toBeLessThan(3);
    expect(ksStatistic(data, (x) => (x + 2) / 5)).toBeLessThan(KS_LIMIT);
    const { mean, variance } = moments(data);
    expect(mean).toBeCloseTo(0.5, 1);
    expect(Math.abs(variance / (25 / 12) - 1)).toBeLessThan(0.03);
  });

  it("fills equal bins equally", () => {
    const counts = new Array<number>(64).fill(0);
    for (const x of uniform(key(2), [N]).data) counts[Math.floor(x * 64)]!++;
    expect(chiSquare(counts)).toBeLessThan(113); // 63 degrees of freedom, 1 in 10,000
  });

  it("is the same in float32 and float64", () => {
    const narrow = uniform(key(3), [1000]);
    const wide = uniform(key(3), [1000], { dtype: "float64" });
    expect(wide.dtype).toBe("float64");
    expect(Array.from(narrow.data)).toEqual(Array.from(wide.data));
  });

  it("stays below 1 and refuses narrower floats", () => {
    const { data } = uniform(key(4), [200_000]);
    expect(data.every((x) => x >= 0 && x < 1)).toBe(true);
    expect(() => uniform(key(4), [2], { dtype: "float16" as "float32" })).toThrow(DTypeError);
    expect(() => uniform(key(4), [2], { low: 1, high: 0 })).toThrow(ArgumentError);
    expect(() => uniform(key(4), [2], { low: Number.NaN })).toThrow(ArgumentError);
  });

  it("draws scalars and empty tensors", () => {
    expect(uniform(key(5), []).item()).toBeGreaterThanOrEqual(0);
    expect(uniform(key(5), [0, 3]).toNested()).toEqual([]);
  });
});

describe("normal", () => {
  it("is normal", () => {
    const { data } = normal(key(6), [N], { mean: 1, stddev: 2 });
    expect(ksStatistic(data, (x) => normalCdf((x - 1) / 2))).toBeLessThan(KS_LIMIT);
    const { mean, variance } = moments(data);
    expect(Math.abs(mean - 1)).toBeLessThan(0.05);
    expect(Math.abs(variance / 4 - 1)).toBeLessThan(0.04);
  });

  it("is finite, never 0, and agrees in both dtypes", () => {
    const narrow = normal(key(7), [50_000]).data;
    const wide = normal(key(7), [50_000], { dtype: "float64" }).data;
    narrow.forEach((x, i) => {
      expect(x).not.toBe(0);
      expect(Math.abs(x)).toBeLessThan(5.42);
      expect(Math.abs(x - wide[i]!)).toBeLessThan(1e-5);
    });
  });

  it("takes the extreme bits without infinities", () => {
    const extremes = array([1 - 2 ** -24, 2 ** -24, -(2 ** -24), -1 + 2 ** -24], { dtype: "float32" });
    const [top, small, minus, bottom] = (eagerly((x: Tracer) => erfinv(x))(extremes) as HostTensor).data;
    expect(top! * Math.SQRT2).toBeCloseTo(5.4155, 1);
    expect(bottom).toBeCloseTo(-top!, 5);
    expect(small).toBeCloseTo((2 ** -24 * Math.sqrt(Math.PI)) / 2, 12);
    expect(minus).toBe(-small!);
  });

  it("erfinv inverts erf to single precision", () => {
    const xs = Float64Array.from({ length: 401 }, (_, i) => -3 + (i * 6) / 400);
    const images = array(xs.map(erf), { dtype: "float64" });
    const back = (eagerly((x: Tracer) => erfinv(x))(images) as HostTensor).data;
    // The condition number of erfinv grows towards 1; float64 leaves only the polynomial's own error.
    xs.forEach((x, i) => expect(Math.abs(back[i]! - x)).toBeLessThan(2e-6 * Math.max(1e-3, Math.abs(x))));
  });

  it("refuses what is no deviation", () => {
    expect(() => normal(key(0), [1], { stddev: -1 })).toThrow(ArgumentError);
    expect(() => normal(key(0), [1], { mean: Infinity })).toThrow(ArgumentError);
  });
});

describe("bernoulli", () => {
  it.each([0.1, 0.5, 0.9])("is true with probability %f", (p) => {
    const drawn = bernoulli(key(8), [N], p);
    expect(drawn.dtype).toBe("bool");
    const trues = Array.from(drawn.data).reduce((a, b) => a + b, 0);
    const statistic = (trues - N * p) ** 2 / (N * p * (1 - p)); // chi-square with 1 degree of freedom
    expect(statistic).toBeLessThan(15.1);
  });

  it("is never true for 0 and always for 1", () => {
    expect(bernoulli(key(9), [1000], 0).data.every((x) => x === 0)).toBe(true);
    expect(bernoulli(key(9), [1000], 1).data.every((x) => x === 1)).toBe(true);
    expect(() => bernoulli(key(9), [1], 1.5)).toThrow(ArgumentError);
  });

  it("takes a probability per column", () => {
    const drawn = bernoulli(key(10), [100, 3], array([0, 1, 0]));
    expect(drawn.toNested()).toEqual(Array.from({ length: 100 }, () => [0, 1, 0]));
  });
});
