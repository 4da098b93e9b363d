import { describe, expect, it } from "vitest";
import { DTypeError, ShapeError } from "../../src/errors.ts";
import { array, hostTensor } from "../../src/runtime/host-tensor.ts";

describe("array", () => {
  it("takes numbers, booleans and nests of them", () => {
    expect(array(3).type).toEqual({ dtype: "float32", shape: [] });
    expect(array([[1, 2, 3], [4, 5, 6]]).type).toEqual({ dtype: "float32", shape: [2, 3] }); // prettier-ignore
    expect(array([true, false]).type).toEqual({ dtype: "bool", shape: [2] });
    expect(array([true, 2]).toNested()).toEqual([1, 2]);
    expect(array([]).type).toEqual({ dtype: "float32", shape: [0] });
    expect(array([[], []]).shape).toEqual([2, 0]);
    expect(array([0.1], { dtype: "float64" }).toNested()).toEqual([0.1]);
  });

  it("copies typed arrays, with their dtype", () => {
    const data = Float64Array.of(1, 2, 3, 4);
    const x = array(data, { shape: [2, 2] });
    data[0] = 9;
    expect([x.dtype, x.toNested()]).toEqual(["float64", [[1, 2], [3, 4]]]); // prettier-ignore
    expect(array(Int32Array.of(1)).dtype).toBe("int32");
    expect(array(Uint32Array.of(1)).dtype).toBe("uint32");
    expect(array(Uint8Array.of(1)).dtype).toBe("bool");
    expect(array(data, { dtype: "float32" }).data).toBeInstanceOf(Float32Array);
    expect(() => array(new Int16Array(1) as never)).toThrow(/Int16Array/);
  });

  it("names the place where a nest is not rectangular", () => {
    expect(() => array([[1, 2], [3]])).toThrow(/data\[1\] should have 2 entries, as data\[0\] has, got 1 entries/);
    expect(() => array([[1, 2], 3])).toThrow(ShapeError);
    expect(() => array([1, [2]])).toThrow(/data\[1\] should be a number/);
    expect(() => array([1, "2" as never])).toThrow(/data\[1\].*string/);
    expect(() => array([1, 2, 3], { shape: [2] })).toThrow(ShapeError);
    expect(() => array([1], { shape: [-1] })).toThrow(ShapeError);
  });

  it("names the element that a dtype cannot hold", () => {
    expect(() => array([[1, 2], [3, 0.5]], { dtype: "int32" })).toThrow(/data\[1\]\[1\] is 0.5, which int32/); // prettier-ignore
    expect(() => array([-1], { dtype: "uint32" })).toThrow(DTypeError);
    expect(() => array([2 ** 31], { dtype: "int32" })).toThrow(DTypeError);
    expect(() => array([Number.NaN], { dtype: "int32" })).toThrow(DTypeError);
    expect(() => array(Uint8Array.of(2))).toThrow(DTypeError);
  });
});

describe("HostTensor", () => {
  it("gives its elements back", () => {
    expect(array([[[1], [2]]]).toNested()).toEqual([[[1], [2]]]);
    expect(array(4).toNested()).toBe(4);
    expect(array([[4]]).item()).toBe(4);
    expect(() => array([1, 2]).item()).toThrow(ShapeError);
    expect(() => array([]).item()).toThrow(ShapeError);
    expect(String(array([1]))).toBe("HostTensor<float32[1]>");
  });

  it("wraps data of the right size and kind without copying", () => {
    const data = Float32Array.of(1, 2);
    expect(hostTensor({ dtype: "float32", shape: [2] }, data).data).toBe(data);
    expect(() => hostTensor({ dtype: "float32", shape: [3] }, data)).toThrow(ShapeError);
    expect(() => hostTensor({ dtype: "int32", shape: [2] }, data)).toThrow(DTypeError);
  });
});
