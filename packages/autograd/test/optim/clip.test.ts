import { describe, expect, it } from "vitest";
import { ArgumentError } from "../../src/errors.ts";
import { clipByGlobalNorm, globalNorm } from "../../src/optim/clip.ts";
import { array, type HostTensor } from "../../src/runtime/host-tensor.ts";
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

  it("shows what is not finite", () => {
    expect(item(clipByGlobalNorm([array([1]), array([Number.NaN])], 1).norm)).toBeNaN();
    expect(() => clipByGlobalNorm(grads, 0)).toThrow(ArgumentError);
  });
});
