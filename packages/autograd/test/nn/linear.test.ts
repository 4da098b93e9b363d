import { describe, expect, it } from "vitest";
import { DTypeError, ShapeError } from "../../src/errors.ts";
import { embedding } from "../../src/nn/embedding.ts";
import { linear, weightNormLinear } from "../../src/nn/linear.ts";
import { key } from "../../src/random/key.ts";
import { array } from "../../src/runtime/host-tensor.ts";
import { traceOpen } from "../../src/trace/builder.ts";
import { Tracer } from "../../src/trace/tracer.ts";
import { moments } from "../random/statistics.ts";
import { evaluate, randn, relativeError, rowsOf } from "./evaluate.ts";

const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, v, i) => sum + v * b[i]!, 0);

describe("linear", () => {
  it("is x W^T + b on the last axis", () => {
    const [x, weight, bias] = [randn(1, [2, 3, 4]), randn(2, [5, 4]), randn(3, [5])];
    const expected = rowsOf(x, 4).flatMap((row) => rowsOf(weight, 4).map((w, o) => dot(row, w) + bias.data[o]!));
    const actual = evaluate((a, w, b) => linear.apply({ weight: w, bias: b }, a), x, weight, bias);
    expect(actual.shape).toEqual([2, 3, 5]);
    expect(relativeError(actual.data, expected)).toBeLessThan(1e-14);
  });

  it("starts uniform within 1/sqrt(in), with bias 0", () => {
    const params = linear.init(key(1), { inFeatures: 100, outFeatures: 200 });
    expect(params.weight.shape).toEqual([200, 100]);
    const { mean, variance } = moments(params.weight.data);
    expect(Math.max(...params.weight.data.map(Math.abs))).toBeLessThanOrEqual(Math.fround(0.1));
    expect(Math.abs(mean)).toBeLessThan(0.002);
    expect(variance * 300).toBeCloseTo(1, 1);
    expect(params.bias?.data.every((b) => b === 0)).toBe(true);
    expect("bias" in linear.init(key(1), { inFeatures: 2, outFeatures: 2, bias: false })).toBe(false);
  });

  it("takes any rank, and refuses what does not fit", () => {
    const params = linear.init(key(2), { inFeatures: 3, outFeatures: 2 });
    const apply = (shape: readonly number[]): readonly number[] =>
      evaluate((x) => linear.apply(params, x), array(new Float32Array(shape.reduce((a, b) => a * b, 1)), { shape }))
        .shape;
    expect(apply([3])).toEqual([2]);
    expect(apply([0, 3])).toEqual([0, 2]);
    expect(apply([1, 7, 3])).toEqual([1, 7, 2]);
    expect(() => apply([4])).toThrow(ShapeError);
    expect(() => apply([])).toThrow(ShapeError);
  });

  it("initialises inside a trace with the numbers of the host", () => {
    const k = key(3);
    const init = { inFeatures: 3, outFeatures: 2 };
    traceOpen([k.type], ([x]) => {
      const { weight, bias } = linear.init(x!, init);
      expect(weight).toBeInstanceOf(Tracer);
      return [weight, bias!];
    });
    const traced = evaluate((x) => linear.init(x, init).weight, k);
    expect(traced.toNested()).toEqual(linear.init(k, init).weight.toNested());
  });
});

describe("weightNormLinear", () => {
  it("has rows of direction v and length g", () => {
    const [x, v, g, bias] = [randn(1, [5, 4]), randn(2, [3, 4]), randn(3, [3, 1]), randn(4, [3])];
    const weight = rowsOf(v, 4).map((row, o) => row.map((e) => (g.data[o]! * e) / Math.hypot(...row)));
    const expected = rowsOf(x, 4).flatMap((row) => weight.map((w, o) => dot(row, w) + bias.data[o]!));
    const actual = evaluate((a, b, c, d) => weightNormLinear.apply({ v: b, g: c, bias: d }, a), x, v, g, bias);
    expect(relativeError(actual.data, expected)).toBeLessThan(1e-14);
    const w = evaluate((b, c) => weightNormLinear.weight({ v: b, g: c }), v, g);
    expect(relativeError(w.data, weight.flat())).toBeLessThan(1e-14);
  });

  it("starts as the plain linear layer of the same key", () => {
    const init = { inFeatures: 6, outFeatures: 4, dtype: "float64" as const };
    const [plain, normed] = [linear.init(key(5), init), weightNormLinear.init(key(5), init)];
    expect(Object.keys(normed).sort()).toEqual(["bias", "g", "v"]);
    expect(normed.v.toNested()).toEqual(plain.weight.toNested());
    expect(normed.g.shape).toEqual([4, 1]);
    const weight = evaluate((v, g) => weightNormLinear.weight({ v: v, g: g }), normed.v, normed.g);
    expect(relativeError(weight.data, plain.weight.data)).toBeLessThan(1e-15);
  });
});

describe("embedding", () => {
  const params = embedding.init(key(7), { vocabulary: 200, features: 100 });

  it("starts normal with deviation 0.02", () => {
    const { mean, variance } = moments(params.weight.data);
    expect(Math.abs(mean)).toBeLessThan(6e-4);
    expect(Math.sqrt(variance)).toBeCloseTo(0.02, 3);
  });

  it("reads rows, and NaN outside the vocabulary", () => {
    const ids = array([[3, 0], [199, 200]], { dtype: "int32" }); // prettier-ignore
    const rows = evaluate((i) => embedding.apply(params, i), ids);
    expect(rows.shape).toEqual([2, 2, 100]);
    expect(Array.from(rows.data.slice(0, 100))).toEqual(Array.from(params.weight.data.slice(300, 400)));
    expect(rows.data.slice(300).every(Number.isNaN)).toBe(true);
    expect(() => evaluate((i) => embedding.apply(params, i), array([0.5]))).toThrow(DTypeError);
  });

  it("attends with the same table", () => {
    const hidden = randn(8, [2, 100]);
    const expected = rowsOf(hidden, 100).flatMap((h) => rowsOf(params.weight, 100).map((e) => dot(h, e)));
    const logits = evaluate((h) => embedding.attend(params, h), hidden);
    expect(logits.shape).toEqual([2, 200]);
    expect(relativeError(logits.data, expected)).toBeLessThan(1e-13);
  });
});
