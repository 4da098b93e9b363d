/** Kernels at sizes around those where their loops change: remainders, strips, rows that stream, parts of threads. */
import { argmax, array, linearRecurrence, nn, scatterAdd, take, type Tracer } from "@banach/autograd";
import { describe, expect, it } from "vitest";
import { wasm } from "../../src/index.ts";

const devices = {
  "one thread": await wasm({ threads: 1 }),
  "three threads": await wasm({ threads: 3, grain: { step: 0, program: 0 } }),
};

type Matrix = readonly (readonly number[])[];

/** Numbers whose sums are rounded, some of them equal. */
const matrix = (rows: number, columns: number): Matrix =>
  Array.from({ length: rows }, (_, i) =>
    Array.from({ length: columns }, (_, j) => Math.fround(((i * 37 + j * 101) % 89) / 7)),
  );

const ofColumn = (x: Matrix, combine: (column: readonly number[]) => number): number[] =>
  x[0]!.map((_, j) => combine(x.map((row) => row[j]!)));

const sumOf = (values: readonly number[]): number => values.reduce((sum, value) => Math.fround(sum + value), 0);

describe.each(Object.entries(devices))("%s", (_, device) => {
  const run = async (f: (x: Tracer) => Tracer, x: Matrix): Promise<number[]> =>
    Array.from((await device.get(await device.run(f, array(x.map((row) => [...row]))))).data);

  it.each([
    [1, 5],
    [3, 100],
    [8, 67],
    [20, 31],
    [9, 33],
    [20, 45],
    [33, 36],
    [12, 164],
    [10, 4099],
  ])("columns of [%i,%i] are combined in the order of the rows", async (rows, columns) => {
    const x = matrix(rows, columns);
    expect(await run((a) => a.sum({ axes: 0 }), x)).toEqual(ofColumn(x, sumOf));
    expect(await run((a) => a.max({ axes: 0 }), x)).toEqual(ofColumn(x, (column) => Math.max(...column)));
    expect(await run((a) => argmax(a, 0), x)).toEqual(ofColumn(x, (column) => column.indexOf(Math.max(...column))));
    // Heavier than what is unrolled, and an epilogue.
    const expected = ofColumn(x, (column) => sumOf(column.map((value) => Math.fround(1 / Math.fround(value + 1))))).map(
      (sum) => Math.fround(sum * 2),
    );
    const heavy = (a: Tracer): Tracer =>
      a.add(1).reciprocal().sqrt().mul(a.add(1).reciprocal().sqrt()).sum({ axes: 0 });
    const actual = await run((a) => heavy(a).mul(2), x);
    actual.forEach((value, j) => {
      expect(Math.abs(value - expected[j]!)).toBeLessThan(1e-5 * expected[j]!);
    });
  });

  it.each([
    [1, 3],
    [4, 16],
    [5, 37],
    [7, 66],
  ])("maps and recurrences of [%i,%i] reach every element", async (rows, columns) => {
    const x = matrix(rows, columns);
    expect(await run((a) => a.add(1), x)).toEqual(x.flat().map((value) => Math.fround(value + 1)));
    expect(await run((a) => a.transpose().add(1), x)).toEqual(
      ofColumn(x, () => 0).flatMap((_, j) => x.map((row) => Math.fround(row[j]! + 1))),
    );
    const after = (h: readonly number[], row: readonly number[]): number[] =>
      row.map((value, j) => Math.fround(Math.fround(0.5 * h[j]!) + value));
    const statesOf = (rows: Matrix): number[][] => {
      let h = x[0]!.map(() => 0);
      return rows.map((row) => (h = after(h, row)));
    };
    const forwards = (a: Tracer): Tracer => linearRecurrence(a.mul(0).add(0.5), a, { axis: 0 });
    expect(await run(forwards, x)).toEqual(statesOf(x).flat());
    const backwards = (a: Tracer): Tracer => linearRecurrence(a.mul(0).add(0.5), a, { axis: 0, reverse: true });
    const fromTheEnd = statesOf(x.toReversed()).toReversed();
    expect(await run(backwards, x)).toEqual(fromTheEnd.flat());
    // Rows of two axes that are not one in memory.
    const twice = (a: Tracer): Tracer => backwards(a.expandDims(1).broadcastTo([rows, 2, columns]));
    expect(await run(twice, x)).toEqual(fromTheEnd.flatMap((row) => [...row, ...row]));
  });

  it.each([1, 3, 4, 6, 33, 50])("rows of %i are gathered and added to by index, in order", async (columns) => {
    const x = matrix(5, columns);
    const indices = [4, 0, -1, 4, 2, 5, 4];
    const at = array(indices, { dtype: "int32" });
    const taken = await run((a) => take(a, at), x);
    expect(taken).toEqual(indices.flatMap((i) => x[i] ?? x[0]!.map(() => Number.NaN)));
    const updates = matrix(indices.length, columns);
    const expected = x.map((row) => [...row]);
    indices.forEach((row, k) => {
      expected[row]?.forEach((value, j, sums) => (sums[j] = Math.fround(value + updates[k]![j]!)));
    });
    const added = array(updates.map((row) => [...row]));
    expect(await run((a) => scatterAdd(a, at, added), x)).toEqual(expected.flat());
  });

  it("a chain by blocks of rows gives what the same rows give alone", async () => {
    const x = matrix(5000, 256);
    const normalized = await run((a) => nn.layerNorm(a), x);
    const some = [0, 1, 2499, 4999];
    const alone = await run(
      (a) => nn.layerNorm(a),
      some.map((row) => x[row]!),
    );
    expect(some.flatMap((row) => normalized.slice(256 * row, 256 * row + 256))).toEqual(alone);
  });
});
