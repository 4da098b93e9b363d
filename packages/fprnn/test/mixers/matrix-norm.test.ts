import { array, grad, type HostTensor, key, random, type Tracer } from "@banach/autograd";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { powerIteration, schattenNorm, schattenNormalize } from "../../src/mixers/matrix-norm.ts";
import { timesTransposed } from "../../src/mixers/small-matrix.ts";
import { device, type Matrix, spectralNorm } from "./kit.ts";

const normal = (seed: number, size: number, scale = 1): HostTensor => {
  const { data, shape } = random.normal(key(seed), [size, size], { dtype: "float64" });
  return array(
    Float64Array.from(data as Float64Array, (x) => x * scale),
    { shape },
  );
};

const rows = (x: HostTensor): Matrix => x.toNested() as number[][];
const evaluate = async (f: (x: Tracer) => Tracer, x: HostTensor): Promise<HostTensor> =>
  device.get(await device.run(f, x));

const matrices = [fc.nat({ max: 1 << 20 }), fc.integer({ min: 1, max: 9 })] as const;

describe("schattenNorm", { timeout: 30_000 }, () => {
  it("lies between the spectral norm and n^{1/4} times that, at any scale", async () => {
    await fc.assert(
      fc.asyncProperty(...matrices, fc.constantFrom(1e-9, 1, 1e60), async (seed, size, scale) => {
        const norm = spectralNorm(rows(normal(seed, size))) * scale;
        const bound = (await evaluate((a) => schattenNorm(a), normal(seed, size, scale))).data[0]!;
        expect(bound / norm).toBeGreaterThanOrEqual(1 - 1e-9);
        expect(bound / norm).toBeLessThanOrEqual(size ** 0.25 * (1 + 1e-9));
      }),
      { numRuns: 60 },
    );
  });

  it.each([
    [8, 1.16, 1.04],
    [16, 1.31, 1.11],
  ])("at %i x %i is as near to the norm as the documentation says", async (size, general, symmetric) => {
    const [ratio, symmetricRatio] = [[] as number[], [] as number[]];
    for (let seed = 0; seed < 10; seed++) {
      const a = normal(seed, size);
      ratio.push((await evaluate((x) => schattenNorm(x), a)).data[0]! / spectralNorm(rows(a)));
      const m = await evaluate((x) => timesTransposed(x, x), a);
      symmetricRatio.push((await evaluate((x) => schattenNorm(x), m)).data[0]! / spectralNorm(rows(m)));
    }
    const mean = (xs: readonly number[]): number => xs.reduce((a, b) => a + b) / xs.length;
    expect(mean(ratio)).toBeLessThan(general + 0.05);
    expect(mean(symmetricRatio)).toBeLessThan(symmetric + 0.05);
  });
});

describe("schattenNormalize", { timeout: 30_000 }, () => {
  it("makes matrices that lengthen nothing, also of those shorter than eps", async () => {
    await fc.assert(
      fc.asyncProperty(...matrices, fc.constantFrom(1e-7, 1e-5, 1, 1e9), async (seed, size, scale) => {
        const normalised = await evaluate((a) => schattenNormalize(a, 1e-5), normal(seed, size, scale));
        const norm = spectralNorm(rows(normalised));
        expect(norm).toBeLessThanOrEqual(1 + 1e-9);
        if (scale >= 1) expect(norm).toBeGreaterThanOrEqual(size ** -0.25 - 1e-9);
      }),
      { numRuns: 60 },
    );
  });

  it("is 0 at 0, with a finite gradient", async () => {
    const zero = array(new Float64Array(9), { shape: [3, 3] });
    const run = (a: Tracer): Tracer => schattenNormalize(a, 1e-5).sum();
    expect((await evaluate(run, zero)).data[0]).toBe(0);
    expect((await evaluate((a) => grad(run)(a), zero)).data.every(Number.isFinite)).toBe(true);
  });
});

it("powerIteration finds the largest eigenvalue of a symmetric matrix", async () => {
  const m = await evaluate((x) => timesTransposed(x, x), normal(3, 4));
  const estimate = (await evaluate((x) => powerIteration(x, 200), m)).data[0]!;
  expect(estimate).toBeCloseTo(spectralNorm(rows(m)), 9);
});
