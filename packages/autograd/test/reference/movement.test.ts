import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { sizeOf, stridesOf } from "../../src/ir/tensor-type.ts";
import { call, run } from "./run.ts";

type Dims = readonly number[];

const numbered = (shape: Dims): number[] => Array.from({ length: sizeOf(shape) }, (_, i) => i + 1);
const type = (shape: Dims): string => `int32[${shape.join(",")}]`;

/** The operand's element at each result index; 0 where `from` says there is none. */
function mapped(operand: Dims, result: Dims, from: (index: Dims) => Dims | undefined): number[] {
  const [strides, x] = [stridesOf(operand), numbered(operand)];
  return numbered(result).map((_, i) => {
    const index = stridesOf(result).map((stride, axis) => Math.floor(i / stride) % result[axis]!);
    const source = from(index);
    return source === undefined ? 0 : x[source.reduce((sum, n, axis) => sum + n * strides[axis]!, 0)]!;
  });
}

const shapes = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 });
/** Long enough for the built-in copies. */
const longShapes = fc.oneof(shapes, fc.constantFrom([3, 130], [2, 3, 70], [100], [70, 2]));

describe("reshape", () => {
  it("keeps the order of elements", () => {
    expect(call("reshape{shape=[3,2]}", type([3, 2]), [type([2, 3])], numbered([2, 3]))).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it("returns memory of its own", () => {
    const [a, b] = run(
      "graph(%0: float32[2]) { %1: float32[1,2] = reshape{shape=[1,2]}(%0) %2: float32[2] = stop_gradient(%0) return (%1, %2) }",
      [1, 2],
    );
    expect([a, b]).toEqual([
      [1, 2],
      [1, 2],
    ]);
  });
});

describe("transpose", () => {
  it("equals its index map", () => {
    const cases = longShapes.chain((shape) => {
      const axes = shape.map((_, axis) => axis);
      const length = axes.length;
      return fc.tuple(fc.constant(shape), fc.shuffledSubarray(axes, { minLength: length, maxLength: length }));
    });
    fc.assert(
      fc.property(cases, ([shape, permutation]) => {
        const result = permutation.map((axis) => shape[axis]!);
        const expected = mapped(shape, result, (index) => shape.map((_, axis) => index[permutation.indexOf(axis)]!));
        const actual = call(
          `transpose{permutation=[${permutation.join(",")}]}`,
          type(result),
          [type(shape)],
          numbered(shape),
        );
        expect(actual).toEqual(expected);
      }),
    );
  });
});

describe("broadcast_in_dim", () => {
  it("equals its index map", () => {
    const cases = longShapes.chain((shape) =>
      fc.tuple(
        fc.constant(shape),
        fc.subarray(shape.map((_, axis) => axis)),
        fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
      ),
    );
    fc.assert(
      fc.property(cases, ([result, dims, ones]) => {
        const operand = dims.map((dim, i) => (ones[i] ? 1 : result[dim]!));
        const expected = mapped(operand, result, (index) => dims.map((dim, i) => (operand[i] === 1 ? 0 : index[dim]!)));
        const params = `{dims=[${dims.join(",")}], shape=[${result.join(",")}]}`;
        expect(call(`broadcast_in_dim${params}`, type(result), [type(operand)], numbered(operand))).toEqual(expected);
      }),
    );
  });
});

const ranges = longShapes.chain((shape) =>
  fc.tuple(
    fc.constant(shape),
    fc.tuple(...shape.map((n) => fc.tuple(fc.nat(n), fc.nat(n), fc.integer({ min: 1, max: 3 })))),
  ),
);

describe("slice", () => {
  it("equals its index map", () => {
    fc.assert(
      fc.property(ranges, ([shape, cuts]) => {
        const start = cuts.map(([a, b]) => Math.min(a, b));
        const limit = cuts.map(([a, b]) => Math.max(a, b));
        const strides = cuts.map(([, , stride]) => stride);
        const result = start.map((from, axis) => Math.ceil((limit[axis]! - from) / strides[axis]!));
        const expected = mapped(shape, result, (index) => index.map((i, axis) => start[axis]! + i * strides[axis]!));
        const params = `{limit=[${limit.join(",")}], start=[${start.join(",")}], strides=[${strides.join(",")}]}`;
        expect(call(`slice${params}`, type(result), [type(shape)], numbered(shape))).toEqual(expected);
      }),
    );
  });
});

describe("pad", () => {
  it("equals its index map", () => {
    const cases = longShapes.chain((shape) =>
      fc.tuple(fc.constant(shape), fc.tuple(...shape.map(() => fc.tuple(fc.nat(2), fc.nat(2), fc.nat(2))))),
    );
    fc.assert(
      fc.property(cases, ([shape, amounts]) => {
        const [low, high, interior] = [0, 1, 2].map((k) => amounts.map((amount) => amount[k]!));
        const result = shape.map((n, axis) => low![axis]! + n + Math.max(0, n - 1) * interior![axis]! + high![axis]!);
        const expected = mapped(shape, result, (index) => {
          const source = index.map((i, axis) => (i - low![axis]!) / (1 + interior![axis]!));
          return source.every((i, axis) => Number.isInteger(i) && i >= 0 && i < shape[axis]!) ? source : undefined;
        });
        const params = `{high=[${high!.join(",")}], interior=[${interior!.join(",")}], low=[${low!.join(",")}]}`;
        expect(call(`pad${params}`, type(result), [type(shape)], numbered(shape))).toEqual(expected);
      }),
    );
  });

  it("fills an empty operand's padding with zeros", () => {
    expect(call("pad{high=[1], interior=[3], low=[2]}", "float32[3]", ["float32[0]"], [])).toEqual([0, 0, 0]);
  });
});

describe("concatenate", () => {
  it("joins along any axis, empty operands included", () => {
    expect(call("concatenate{axis=0}", "int32[3]", ["int32[1]", "int32[0]", "int32[2]"], [1], [], [2, 3])).toEqual([
      1, 2, 3,
    ]);
    const columns = call("concatenate{axis=1}", "int32[2,3]", ["int32[2,1]", "int32[2,2]"], [1, 4], [2, 3, 5, 6]);
    expect(columns).toEqual([1, 2, 3, 4, 5, 6]);
    expect(call("concatenate{axis=0}", "bool[2,1]", ["bool[1,1]", "bool[1,1]"], [1], [0])).toEqual([1, 0]);
  });

  it("takes one operand twice", () => {
    const [twice] = run("graph(%0: float32[2]) { %1: float32[4] = concatenate{axis=0}(%0, %0) return (%1) }", [1, 2]);
    expect(twice).toEqual([1, 2, 1, 2]);
  });
});
