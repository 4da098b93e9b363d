import { array, type Tracer } from "@banach/autograd";
import { reference } from "@banach/autograd/reference";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { quantile } from "../../src/solvers/quantile.ts";

const device = await reference();
const of = async (values: readonly number[], q: number): Promise<number> => {
  const result = await device.run((x: Tracer) => quantile(x, q), array(Float64Array.from(values)));
  return result.item();
};

/** Linear interpolation of the sorted values, as numpy and torch define it. */
function expected(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const position = q * (values.length - 1);
  const [low, high] = [sorted[Math.floor(position)]!, sorted[Math.ceil(position)]!];
  return low === high ? low : low + (position % 1) * (high - low);
}

describe("quantile", () => {
  it("interpolates between order statistics, ties included", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: -5, max: 5 }), { minLength: 1, maxLength: 12 }),
        fc.constantFrom(0, 0.25, 0.5, 0.75, 0.9, 1),
        async (values, q) => {
          expect(await of(values, q)).toBeCloseTo(expected(values, q), 12);
        },
      ),
      { numRuns: 80 },
    );
  });

  it("orders infinities, and does not let one that has weight 0 in", async () => {
    expect(await of([1, Infinity, 2], 0.5)).toBe(2);
    expect(await of([Infinity, 1], 0)).toBe(1);
    expect(await of([1, Infinity], 0.5)).toBe(Infinity);
    expect(await of([Infinity, Infinity], 0.5)).toBe(Infinity);
  });

  it("refuses a fraction outside [0, 1]", async () => {
    await expect(of([1], 2)).rejects.toThrow(/q must be in \[0, 1\], got 2/);
  });
});
