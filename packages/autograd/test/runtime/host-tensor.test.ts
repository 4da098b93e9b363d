import { describe, expect, it } from "vitest";
import { DTypeError, ShapeError } from "../../src/errors.ts";
import { array, hostTensor } from "../../src/runtime/host-tensor.ts";

describe("array", () => {
  it("takes numbers, nests and typed arrays", () => {
    expect(array(3).type).toEqual({ dtype: "float32", shape: [] });
    expect(array([[1, 2], [3, 4]]).toNested()).toEqual([[1, 2], [3, 4]]); // prettier-ignore
    expect(array([true, false]).type).toEqual({ dtype: "bool", shape: [2] });
    expect(array(Int32Array.of(1, 2, 3, 4), { shape: [2, 2] }).type).toEqual({ dtype: "int32", shape: [2, 2] });
    expect(array([[], []]).type.shape).toEqual([2, 0]);
    expect(array([1.5], { dtype: "float64" }).item()).toBe(1.5);
  });

  it("copies typed arrays", () => {
    const data = Float32Array.of(1);
    const tensor = array(data);
    data[0] = 9;
    expect(tensor.item()).toBe(1);
  });

  it("names the place of what does not fit", () => {
    expect(() => array([[1, 2], [3]])).toThrow(ShapeError);
    expect(() => array([[1, 2], [3]])).toThrow(/data\[1\] should have 2 entries.*got 1 entries/);
    expect(() => array([[1], 2] as never)).toThrow(/data\[1\]/);
    expect(() => array([1, 0.5], { dtype: "int32" })).toThrow(DTypeError);
    expect(() =>
      array(
        [
          [1, 2],
          [3, -1],
        ],
        { dtype: "uint32" },
      ),
    ).toThrow(/data\[1\]\[1\] is -1, which uint32 cannot hold/);
    expect(() => array([1, 2, 3], { shape: [2] })).toThrow(/has 2 elements, got 3/);
    expect(() => array([1, 2]).item()).toThrow(ShapeError);
    expect(() => hostTensor({ dtype: "int32", shape: [1] }, Float32Array.of(1))).toThrow(/stored in Int32Array/);
  });
});
