import { array, type Tracer } from "@banach/autograd";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { solveWoodbury } from "../../src/index.ts";
import { eliminate } from "../../src/mixers/woodbury.ts";
import { device, times } from "./kit.ts";

/** Solves with the rows of [a | b]. */
async function solved(rows: readonly (readonly number[])[]): Promise<number[]> {
  const inputs = rows.map((row) => array(Float64Array.from(row)));
  const result = await device.run((given: readonly Tracer[]) => eliminate(given), inputs);
  return (await device.get(result)).map((x) => x.data[0]!);
}

describe("eliminate", { timeout: 30_000 }, () => {
  it("solves systems of any small size, to the residual that pivoting promises", async () => {
    const systems = fc.integer({ min: 1, max: 6 }).chain((r) =>
      fc.array(fc.array(fc.integer({ min: -9, max: 9 }), { minLength: r + 1, maxLength: r + 1 }), {
        minLength: r,
        maxLength: r,
      }),
    );
    await fc.assert(
      fc.asyncProperty(systems, async (rows) => {
        const x = await solved(rows);
        fc.pre(x.every(Number.isFinite));
        const size = Math.max(1, ...x.map(Math.abs));
        const left = times(
          rows.map((row) => row.slice(0, -1)),
          x,
        );
        left.forEach((value, i) => expect(Math.abs(value - rows[i]!.at(-1)!)).toBeLessThan(1e-11 * size));
      }),
      { numRuns: 60 },
    );
  });

  it("needs a pivot from below where the first is 0", async () => {
    expect(await solved([[0, 2, 4], [3, 0, 9]])).toEqual([3, 2]); // prettier-ignore
    const close = await solved([[1e-20, 1, 1], [1, 1, 2]]); // prettier-ignore
    close.forEach((x) => expect(x).toBeCloseTo(1, 14));
  });

  it("is not finite for a singular system", async () => {
    const x = await solved([[1, 2, 1], [2, 4, 3]]); // prettier-ignore
    expect(x.some(Number.isFinite)).toBe(false);
  });
});

it("solveWoodbury refuses factors that do not pair up", async () => {
  const run = (x: Tracer): Tracer => solveWoodbury({ u: [x, x], v: [x] }, { d: x, e: x, rhs: x });
  await expect(device.run(run, array([1, 2]))).rejects.toThrow(/as many u as v, and one at least, got 2 and 1/);
  const none = (x: Tracer): Tracer => solveWoodbury({ u: [], v: [] }, { d: x, e: x, rhs: x });
  await expect(device.run(none, array([1, 2]))).rejects.toThrow(/got 0 and 0/);
});
