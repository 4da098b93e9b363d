import { describe, expect, it } from "vitest";
import { DTypeError, ShapeError } from "../../src/errors.ts";
import { softmaxCrossEntropy } from "../../src/nn/loss.ts";
import { array, type HostTensor } from "../../src/runtime/host-tensor.ts";
import { evaluate, f64, randn, rowsOf } from "./evaluate.ts";

const ids = (data: readonly (number | readonly number[])[]): HostTensor => array(data, { dtype: "int32" });
const loss = (logits: HostTensor, labels: HostTensor, mask?: HostTensor): number => {
  const options = mask === undefined ? {} : { mask };
  return evaluate((x) => softmaxCrossEntropy(x, labels, options), logits).item();
};

describe("softmaxCrossEntropy", () => {
  const logits = randn(2, [2, 3, 4]);
  const labels = ids([
    [0, 1, 2],
    [3, 3, 0],
  ]);
  const each = rowsOf(logits, 4).map((row, i) => {
    const total = row.reduce((a, b) => a + Math.exp(b), 0);
    return Math.log(total) - row[labels.data[i]!]!;
  });

  it("is the mean negative log likelihood", () => {
    expect(loss(logits, labels)).toBeCloseTo(each.reduce((a, b) => a + b, 0) / 6, 14);
  });

  it("averages over a bool mask and over float weights", () => {
    const mask = array([
      [true, false, true],
      [false, false, true],
    ]);
    expect(loss(logits, labels, mask)).toBeCloseTo((each[0]! + each[2]! + each[5]!) / 3, 14);
    const weights = array([[2, 0, 0], [0, 0.5, 0]], { dtype: "float64" }); // prettier-ignore
    expect(loss(logits, labels, weights)).toBeCloseTo((2 * each[0]! + 0.5 * each[4]!) / 2.5, 14);
  });

  it("is 0 for an empty mask, whatever the logits", () => {
    const none = array([false, false]);
    expect(loss(f64([2, 2], [Number.NaN, 1, Infinity, -Infinity]), ids([0, 1]), none)).toBe(0);
  });

  it("ignores what is masked, NaN and unknown labels included", () => {
    const half = array([true, false]);
    const value = loss(f64([2, 2], [0, 0, Number.NaN, Infinity]), ids([0, -1]), half);
    expect(value).toBeCloseTo(Math.log(2), 15);
  });

  it("takes -Infinity outside the label", () => {
    expect(loss(f64([1, 3], [0, -Infinity, 0]), ids([2]))).toBeCloseTo(Math.log(2), 15);
  });

  it("is NaN, not small, for an unknown label", () => {
    expect(loss(f64([1, 3], [0, 0, 0]), ids([3]))).toBeNaN();
    expect(loss(f64([1, 3], [0, 0, 0]), ids([-1]))).toBeNaN();
  });

  it("does not overflow in float32", () => {
    expect(loss(array([[1e30, -1e30]]), ids([0]))).toBe(0);
  });

  it("refuses shapes and dtypes that do not fit", () => {
    expect(() => loss(logits, ids([0, 1]))).toThrow(ShapeError);
    expect(() => loss(logits, labels, array([true]))).toThrow(ShapeError);
    expect(() => loss(logits, array([[0, 1, 2], [3, 3, 0]]))).toThrow(DTypeError); // prettier-ignore
    expect(() => loss(f64([0, 2], []), ids([]))).toThrow(ShapeError);
  });
});
