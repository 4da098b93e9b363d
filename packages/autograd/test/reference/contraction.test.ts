import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { sizeOf, stridesOf } from "../../src/ir/tensor-type.ts";
import { call } from "./run.ts";

type Axes = readonly number[];

/** The sum over all index tuples, one multiplication at a time. */
function naiveDot(a: Axes, b: Axes, x: Axes, y: Axes, batch: [Axes, Axes], contracting: [Axes, Axes]): number[] {
  const free = (shape: Axes, side: 0 | 1): number[] =>
    shape.map((_, axis) => axis).filter((axis) => !batch[side].includes(axis) && !contracting[side].includes(axis));
  const result = [...batch[0].map((i) => a[i]!), ...free(a, 0).map((i) => a[i]!), ...free(b, 1).map((i) => b[i]!)];
  const strides = stridesOf(result);
  const out = Array<number>(sizeOf(result)).fill(0);
  const indexIn = (shape: Axes, i: number): number[] =>
    stridesOf(shape).map((s, axis) => Math.floor(i / s) % shape[axis]!);
  x.forEach((left, i) => {
    const p = indexIn(a, i);
    y.forEach((right, j) => {
      const q = indexIn(b, j);
      const match = ([l, r]: [Axes, Axes]): boolean => l.every((axis, k) => p[axis] === q[r[k]!]);
      if (!match(batch) || !match(contracting)) return;
      const at = [...batch[0].map((k) => p[k]!), ...free(a, 0).map((k) => p[k]!), ...free(b, 1).map((k) => q[k]!)];
      out[at.reduce((sum, n, k) => sum + n * strides[k]!, 0)]! += left * right;
    });
  });
  return out;
}

function dot(
  dtype: string,
  a: Axes,
  b: Axes,
  x: Axes,
  y: Axes,
  batch: [Axes, Axes],
  contracting: [Axes, Axes],
): number[] {
  const rest = (shape: Axes, side: 0 | 1): Axes =>
    shape.filter((_, axis) => !batch[side].includes(axis) && !contracting[side].includes(axis));
  const result = [...batch[0].map((axis) => a[axis]!), ...rest(a, 0), ...rest(b, 1)];
  const pairs = ([l, r]: [Axes, Axes]): string => `[[${l.join(",")}],[${r.join(",")}]]`;
  return call(
    `dot_general{batch=${pairs(batch)}, contracting=${pairs(contracting)}}`,
    `${dtype}[${result.join(",")}]`,
    [`${dtype}[${a.join(",")}]`, `${dtype}[${b.join(",")}]`],
    x,
    y,
  );
}

const shuffled = (n: number): fc.Arbitrary<number[]> => {
  const axes = Array.from({ length: n }, (_, i) => i);
  return fc.shuffledSubarray(axes, { minLength: n, maxLength: n });
};

/** Two operands whose axes (batch, contracted, free) lie in any order. */
const contractions = fc
  .tuple(...Array.from({ length: 4 }, () => fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 2 })))
  .chain(([batch, contracted, left, right]) =>
    fc.tuple(
      fc.constant([batch, contracted, left, right] as const),
      shuffled(batch!.length + contracted!.length + left!.length),
      shuffled(batch!.length + contracted!.length + right!.length),
    ),
  )
  .map(([[batch, contracted, left, right], orderA, orderB]) => {
    const place = (free: Axes, order: Axes) => {
      const sizes = [...batch!, ...contracted!, ...free];
      return {
        shape: order.map((i) => sizes[i]!),
        batch: batch!.map((_, i) => order.indexOf(i)),
        contracting: contracted!.map((_, i) => order.indexOf(batch!.length + i)),
      };
    };
    return [place(left!, orderA), place(right!, orderB)] as const;
  });

describe("dot_general", () => {
  it("is the matrix product", () => {
    const [x, y] = [
      [1, 2, 3, 4, 5, 6],
      [7, 8, 9, 10, 11, 12],
    ];
    expect(dot("float32", [2, 3], [3, 2], x, y, [[], []], [[1], [0]])).toEqual([58, 64, 139, 154]);
  });

  it("is 0 where nothing is contracted over, and empty where an extent is", () => {
    expect(dot("float32", [2, 0], [0, 2], [], [], [[], []], [[1], [0]])).toEqual([0, 0, 0, 0]);
    expect(dot("float32", [0, 2], [2, 2], [], [1, 2, 3, 4], [[], []], [[1], [0]])).toEqual([]);
  });

  it("is exact modulo 2^32 for integers", () => {
    const x = [123456789, 987654321];
    const exact = BigInt(x[0]!) ** 2n + BigInt(x[1]!) ** 2n;
    expect(dot("int32", [2], [2], x, x, [[], []], [[0], [0]])).toEqual([Number(BigInt.asIntN(32, exact))]);
    expect(dot("uint32", [2], [2], x, x, [[], []], [[0], [0]])).toEqual([Number(BigInt.asUintN(32, exact))]);
  });

  it("accumulates float32 in float64", () => {
    expect(dot("float32", [3], [3], [1e8, 1, -1e8], [1, 1, 1], [[], []], [[0], [0]])).toEqual([1]);
  });

  it("propagates a NaN past zeros", () => {
    expect(dot("float32", [1, 2], [2, 4], [0, 1], [NaN, Infinity, 1, 1, 1, 1, 1, 1], [[], []], [[1], [0]])).toEqual([
      NaN,
      NaN,
      1,
      1,
    ]);
  });

  it("equals the sum over index tuples, with axes in any order", () => {
    fc.assert(
      fc.property(contractions, fc.constantFrom("float64", "float32", "int32"), ([a, b], dtype) => {
        const x = Array.from({ length: sizeOf(a.shape) }, (_, i) => ((i * 7) % 11) - 5);
        const y = Array.from({ length: sizeOf(b.shape) }, (_, i) => ((i * 5) % 13) - 6);
        fc.pre(x.length * y.length < 200_000);
        const pairs = [
          [a.batch, b.batch],
          [a.contracting, b.contracting],
        ] as [[Axes, Axes], [Axes, Axes]];
        // Adding 0 makes -0 and 0 alike.
        const actual = dot(dtype, a.shape, b.shape, x, y, ...pairs).map((v) => v + 0);
        expect(actual).toEqual(naiveDot(a.shape, b.shape, x, y, ...pairs).map((v) => v + 0));
      }),
    );
  });
});
