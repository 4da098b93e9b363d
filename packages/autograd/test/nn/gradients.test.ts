/** Gradients of layers where a careless formula gives NaN or a wrong number; elsewhere the rules' own audit vouches. */
import { describe, expect, it } from "vitest";
import { softplus } from "../../src/nn/activation.ts";
import { softmaxCrossEntropy } from "../../src/nn/loss.ts";
import { l2Normalize, layerNorm, rmsNorm } from "../../src/nn/normalization.ts";
import { logSumExp } from "../../src/nn/softmax.ts";
import { array, type HostTensor } from "../../src/runtime/host-tensor.ts";
import type { Tracer } from "../../src/trace/tracer.ts";
import { grad } from "../../src/vjp/transforms.ts";
import { evaluate, f64, relativeError } from "./evaluate.ts";

/** The gradient at x of the sum of f, or of a scalar f. */
function gradient(f: (x: Tracer) => Tracer, x: HostTensor): HostTensor {
  return evaluate((at) => grad((y: Tracer) => f(y).sum())(at), x);
}

describe("softplus", () => {
  it("has slope logistic(x) and curvature logistic(x) logistic(-x), at 0 too", () => {
    const xs = [-800, -2, 0, 3, 800];
    const slopes = xs.map((x) => 1 / (1 + Math.exp(-x)));
    expect(relativeError(gradient(softplus, f64([5], xs)).data, slopes)).toBeLessThan(1e-14);
    const curvature = gradient((x) => grad((y: Tracer) => softplus(y).sum())(x), f64([5], xs)).data;
    expect(relativeError(curvature, slopes.map((s) => s * (1 - s)))).toBeLessThan(1e-14); // prettier-ignore
  });
});

describe("l2Normalize", () => {
  const weights = f64([3], [1, -2, 0.5]);
  const at = (x: readonly number[]): readonly number[] =>
    Array.from(gradient((y) => l2Normalize(y, { eps: 1e-5 }).mul(weights), f64([1, 3], x)).data);

  it("projects out the direction of long vectors", () => {
    const x = [0.3, 0.4, 1.2];
    const along = (0.3 - 0.8 + 0.6) / 1.3 ** 2;
    const expected = [1, -2, 0.5].map((w, i) => (w - along * x[i]!) / 1.3);
    expect(relativeError(at(x), expected)).toBeLessThan(1e-14);
  });

  it("divides by eps for short vectors and for 0", () => {
    expect(relativeError(at([1e-7, 0, -1e-7]), [1e5, -2e5, 5e4])).toBeLessThan(1e-14);
    expect(relativeError(at([0, 0, 0]), [1e5, -2e5, 5e4])).toBeLessThan(1e-14);
  });
});

describe("layerNorm and rmsNorm", () => {
  it("have finite gradients at 0", () => {
    const zero = f64([1, 2], [0, 0]);
    const scale = 1 / Math.sqrt(1e-5);
    expect(relativeError(gradient((x) => rmsNorm(x), zero).data, [scale, scale])).toBeLessThan(1e-14);
    expect(gradient((x) => layerNorm(x), zero).data.every((g) => g === 0)).toBe(true);
  });
});

describe("logSumExp", () => {
  it("has softmax as gradient, with 0 at -Infinity and halves at ties", () => {
    const actual = gradient((x) => logSumExp(x), f64([3], [2, -Infinity, 2])).data;
    expect(Array.from(actual)).toEqual([0.5, 0, 0.5]);
  });
});

describe("softmaxCrossEntropy", () => {
  const labels = array([1, 0], { dtype: "int32" });

  it("has gradient softmax - onehot over the number of positions, 0 at -Infinity", () => {
    const logits = f64([2, 3], [0, 0, -Infinity, 0, 0, 0]);
    const actual = gradient((x) => softmaxCrossEntropy(x, labels), logits).data;
    expect(relativeError(actual, [0.25, -0.25, 0, -1 / 3, 1 / 6, 1 / 6])).toBeLessThan(1e-14);
  });

  it("is 0 where masked, whatever is there, and everywhere for an empty mask", () => {
    const logits = f64([2, 3], [Number.NaN, Infinity, -Infinity, 0, 0, 0]);
    const half = array([false, true]);
    const actual = gradient((x) => softmaxCrossEntropy(x, labels, { mask: half }), logits).data;
    expect(relativeError(actual, [0, 0, 0, -2 / 3, 1 / 3, 1 / 3])).toBeLessThan(1e-14);
    const none = array([0, 0]);
    const nothing = gradient((x) => softmaxCrossEntropy(x, labels, { mask: none }), logits).data;
    expect(nothing.every((g) => g === 0)).toBe(true);
  });
});
