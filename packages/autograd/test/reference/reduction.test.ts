import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { sizeOf, stridesOf } from "../../src/ir/tensor-type.ts";
import { call } from "./run.ts";

const sequence = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1);

describe("reduce_sum", () => {
  it.each([
    ["[]", "[2,3]", [1, 2, 3, 4, 5, 6]],
    ["[0]", "[3]", [5, 7, 9]],
    ["[1]", "[2]", [6, 15]],
    ["[0,1]", "[]", [21]],
  ])("over axes %s", (axes, shape, expected) => {
    for (const dtype of ["float64", "float32", "int32"]) {
      expect(call(`reduce_sum{axes=${axes}}`, `${dtype}${shape}`, [`${dtype}[2,3]`], sequence(6))).toEqual(expected);
    }
  });

  it("accumulates float32 in float64", () => {
    const x = [1e8, 1, 1, 1, 1, 1, 1, 1, 1, -1e8];
    expect(call("reduce_sum{axes=[0]}", "float32[]", ["float32[10]"], x)).toEqual([8]);
    expect(call("reduce_sum{axes=[0]}", "float32[2]", ["float32[5,2]"], [1e8, 1, 1, 1, 1, 1, 1, 1, -1e8, 1])).toEqual([
      3, 5,
    ]);
  });

  it("wraps integers", () => {
    expect(call("reduce_sum{axes=[0]}", "int32[]", ["int32[2]"], [2 ** 31 - 1, 1])).toEqual([-(2 ** 31)]);
    expect(call("reduce_sum{axes=[0]}", "uint32[]", ["uint32[2]"], [2 ** 32 - 1, 2])).toEqual([1]);
  });

  it("is 0 over nothing", () => {
    expect(call("reduce_sum{axes=[0]}", "float32[2]", ["float32[0,2]"], [])).toEqual([0, 0]);
    expect(call("reduce_sum{axes=[1]}", "float32[0]", ["float32[0,2]"], [])).toEqual([]);
  });

  it("equals the plain sum for any axes", () => {
    const cases = fc
      .array(fc.integer({ min: 0, max: 3 }), { maxLength: 4 })
      .chain((shape) => fc.tuple(fc.constant(shape), fc.subarray(shape.map((_, axis) => axis))));
    fc.assert(
      fc.property(cases, ([shape, axes]) => {
        const x = sequence(sizeOf(shape));
        const kept = shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
        const result = kept.map((axis) => shape[axis]!);
        const [from, to] = [stridesOf(shape), stridesOf(result)];
        const expected = Array<number>(sizeOf(result)).fill(0);
        x.forEach((value, i) => {
          const index = shape.map((dim, axis) => Math.floor(i / from[axis]!) % dim);
          expected[kept.reduce((sum, axis, k) => sum + index[axis]! * to[k]!, 0)]! += value;
        });
        const operands = [`float32[${shape.join(",")}]`];
        expect(call(`reduce_sum{axes=[${axes.join(",")}]}`, `float32[${result.join(",")}]`, operands, x)).toEqual(
          expected,
        );
      }),
    );
  });
});

describe("reduce_max", () => {
  it("is the largest, along any axes", () => {
    const x = [3, -1, 2, -5, 7, 0];
    expect(call("reduce_max{axes=[0]}", "float32[3]", ["float32[2,3]"], x)).toEqual([3, 7, 2]);
    expect(call("reduce_max{axes=[1]}", "int32[2]", ["int32[2,3]"], x)).toEqual([3, 7]);
    expect(call("reduce_max{axes=[0,2]}", "float32[2]", ["float32[2,2,2]"], [1, 2, 3, 4, 5, 6, -7, 8])).toEqual([6, 8]);
  });

  it("is NaN if any element is", () => {
    expect(call("reduce_max{axes=[1]}", "float32[3]", ["float32[3,2]"], [NaN, 1, 1, NaN, -Infinity, 2])).toEqual([
      NaN,
      NaN,
      2,
    ]);
  });
});

describe("argmax", () => {
  it("is the first of the largest", () => {
    expect(call("argmax{axis=1}", "int32[2]", ["float32[2,3]"], [1, 3, 3, 5, 4, 5])).toEqual([1, 0]);
    expect(call("argmax{axis=0}", "int32[3]", ["int32[2,3]"], [1, 3, 3, 5, 3, 4])).toEqual([1, 0, 1]);
  });

  it("is the first NaN if there is one", () => {
    expect(call("argmax{axis=1}", "int32[2]", ["float32[2,3]"], [1, NaN, NaN, NaN, Infinity, 1])).toEqual([1, 0]);
  });
});
