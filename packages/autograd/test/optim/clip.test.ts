import { describe, expect, it } from "vitest";
import { ArgumentError } from "../../src/errors.ts";
import { mul } from "../../src/ops/elementwise.ts";
import { clipByGlobalNorm, globalNorm } from "../../src/optim/clip.ts";
import { array, type HostTensor } from "../../src/runtime/host-tensor.ts";
import { eagerly } from "../../src/random/eager.ts";
import type { Tracer } from "../../src/trace/tracer.ts";
import { grad } from "../../src/vjp/transforms.ts";
import { f64 } from "../nn/evaluate.ts";

const item = (tensor: unknown): number => (tensor as HostTensor).item();

describe("global norm", () => {
  const grads = { a: f64([2], [3, 0]), list: [f64([1], [4])] };

  it("is that of all leaves together", () => {
    expect(item(globalNorm(grads))).toBe(5);
    expect(item(globalNorm({}))).toBe(0);
    expect(item(globalNorm({ a: array([3]), b: f64([1], [4]) }))).toBe(5);
  });

  it("clips to the limit, and leaves smaller gradients alone", () => {
    const clipped = clipByGlobalNorm(grads, 1);
    expect(item(clipped.norm)).toBe(5);
    expect(clipped.grads.a.data[0]).toBeCloseTo(3 / (5 + 1e-6), 14);
    expect(clipped.grads.list[0]!.data[0]).toBeCloseTo(4 / (5 + 1e-6), 14);
    expect(clipByGlobalNorm(grads, 6).grads.list[0]!.toNested()).toEqual([4]);
    expect(clipByGlobalNorm({ z: array([0, 0]) }, 1).grads.z.toNested()).toEqual([0, 0]);
  });

  it("keeps each dtype", () => {
    const clipped = clipByGlobalNorm({ a: array([3]), b: f64([1], [4]) }, 1);
    expect([clipped.grads.a.dtype, clipped.grads.b.dtype]).toEqual(["float32", "float64"]);
  });

  it("is that of all leaves together where squares overflow or underflow", () => {
    for (const size of [1e30, 1e-30]) {
      const { norm, grads: clipped } = clipByGlobalNorm([array([3 * size]), array([4 * size])], 1);
      expect(item(norm) / (5 * size)).toBeCloseTo(1, 6);
      expect(clipped.map(({ data }) => data[0]! / Math.min(1, 5 * size))).toEqual([
        expect.closeTo(0.6, 6),
        expect.closeTo(0.8, 6),
      ]);
    }
    expect(item(globalNorm({ a: array([3, 4], { dtype: "int32" }) }))).toBe(5);
    expect(item(globalNorm({ none: array(new Float32Array(0)), a: array([3, 4]) }))).toBe(5);
    expect(item(globalNorm({ a: array([3e38]), b: f64([1], [4e38]) })) / 5e38).toBeCloseTo(1, 6);
  });

  it("has the unit vector along the tree as its gradient", () => {
    const gradient = eagerly((x: Tracer) => grad((v: readonly Tracer[]) => globalNorm(v))([x, mul(x, 2)]));
    const [a, b] = gradient(f64([2], [3, 0])) as unknown as readonly HostTensor[];
    expect(a!.data[0]).toBeCloseTo(1 / Math.sqrt(5), 14);
    expect(b!.data[0]).toBeCloseTo(2 / Math.sqrt(5), 14);
  });

  it("makes everything NaN where it is not finite", () => {
    for (const bad of [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN]) {
      const { norm, grads: clipped } = clipByGlobalNorm([array([bad]), array([1])], 1);
      expect(Math.abs(item(norm))).toBe(Math.abs(bad));
      expect(clipped.map(item)).toEqual([Number.NaN, Number.NaN]);
    }
    const tooLong = clipByGlobalNorm([array([3e38, 3e38])], 1);
    expect([item(tooLong.norm), tooLong.grads[0]!.toNested()]).toEqual([Infinity, [Number.NaN, Number.NaN]]);
  });

  it("shows what is not finite", () => {
    expect(item(clipByGlobalNorm([array([1]), array([Number.NaN])], 1).norm)).toBeNaN();
    expect(() => clipByGlobalNorm(grads, 0)).toThrow(ArgumentError);
  });
});
