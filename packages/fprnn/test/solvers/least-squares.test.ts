import { array, type HostTensor, random, type Tracer } from "@banach/autograd";
import { reference } from "@banach/autograd/reference";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { solveLeastSquares } from "../../src/solvers/least-squares.ts";

const device = await reference();
const dtype = "float64" as const;

/** min |A x - b| for columns A [batch, n, m] (one column per row of the last axes) and b [batch, m]. */
const run = async (columns: HostTensor, b: HostTensor, options = { ridge: 0, floor: 1e-13 }): Promise<HostTensor> => {
  const solveIt = (a: Tracer, rhs: Tracer): Tracer =>
    solveLeastSquares(
      {
        gram: a.dotGeneral(a, { contracting: [[2], [2]], batch: [[0], [0]] }),
        rhs: a.dotGeneral(rhs, { contracting: [[2], [1]], batch: [[0], [0]] }),
      },
      options,
    );
  return device.get(await device.run(solveIt, columns, b));
};

describe("solveLeastSquares", () => {
  it("leaves a residual that is orthogonal to every column, whatever their lengths", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.bigInt({ min: 0n, max: 1000n }),
        fc.integer({ min: 1, max: 6 }),
        fc.constantFrom(1e-9, 1, 1e9),
        async (seed, n, size) => {
          const [ka, kb] = random.split(random.key(seed), 2);
          const [batch, m] = [2, 12];
          const columns = random.normal(ka!, [batch, n, m], { dtype });
          columns.data.forEach((value, i) => {
            // Every other column is much longer or shorter.
            if (Math.floor(i / m) % 2 === 1) columns.data[i] = value * size;
          });
          const b = random.normal(kb!, [batch, m], { dtype });
          const x = await run(columns, b);
          for (let row = 0; row < batch; row++) {
            const column = (j: number) => Array.from(columns.data).slice((row * n + j) * m, (row * n + j + 1) * m);
            const rest = Array.from(b.data.subarray(row * m, (row + 1) * m));
            for (let j = 0; j < n; j++) column(j).forEach((value, i) => (rest[i]! -= value * x.data[row * n + j]!));
            for (let j = 0; j < n; j++) {
              const along = column(j).reduce((sum, value, i) => sum + value * rest[i]!, 0);
              expect(Math.abs(along)).toBeLessThan(1e-10 * Math.hypot(...column(j)) * Math.hypot(...rest) + 1e-300);
            }
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  it("leaves out columns of zeros, and columns that depend on those before", async () => {
    const columns = array(Float64Array.of(1, 0, 0, 0, 0, 0, 2, 0, 0, 1, 1, 0), { shape: [1, 4, 3] });
    const b = array(Float64Array.of(3, 5, 7), { shape: [1, 3] });
    expect(Array.from((await run(columns, b)).data, (x) => Number(x.toFixed(12)))).toEqual([-2, 0, 0, 5]);
  });

  it("gives zeros where there is no column at all", async () => {
    const none = array(new Float64Array(6), { shape: [1, 2, 3] });
    expect(Array.from((await run(none, array(Float64Array.of(1, 2, 3), { shape: [1, 3] }))).data)).toEqual([0, 0]);
  });

  it("makes solutions shorter with a ridge, relative to the columns", async () => {
    const columns = array(Float64Array.of(100, 0), { shape: [1, 1, 2] });
    const b = array(Float64Array.of(100, 1), { shape: [1, 2] });
    expect((await run(columns, b, { ridge: 1, floor: 1e-13 })).data[0]).toBeCloseTo(0.5, 12);
  });

  it("keeps rows apart", async () => {
    const columns = array(Float64Array.of(1, 0, Number.NaN, 0), { shape: [2, 1, 2] });
    const b = array(Float64Array.of(2, 0, 2, 0), { shape: [2, 2] });
    const x = await run(columns, b);
    expect(x.data[0]).toBe(2);
  });

  it("refuses shapes that do not fit", async () => {
    const run3 = (g: Tracer, r: Tracer): Tracer => solveLeastSquares({ gram: g, rhs: r }, { ridge: 0, floor: 0 });
    const wrong = device.run(
      run3,
      array(new Float64Array(4), { shape: [1, 2, 2] }),
      array(new Float64Array(3), { shape: [1, 3] }),
    );
    await expect(wrong).rejects.toThrow(/solveLeastSquares: gram must be \[batch, 3, 3\] for 3 unknowns/);
  });
});
