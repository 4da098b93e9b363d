import { key } from "@banach/autograd";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { kronecker, type KroneckerOptions } from "../../src/index.ts";
import { factorsOf } from "../../src/mixers/factors.ts";
import { device, distance, identity, layOpen, type Matrix, minus, operandsOf, spectralNorm } from "./kit.ts";

const rest = async (options: KroneckerOptions, seed: number, scale: number, channels = 6): Promise<Matrix> =>
  minus(identity(channels), (await layOpen(kronecker(options), { channels, seed, scale })).q);

describe("kronecker", { timeout: 30_000 }, () => {
  it("certified: the norm of I - Q is below gain, whatever the parameters", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat({ max: 1 << 20 }),
        fc.constantFrom(1e-8, 0.1, 1, 10, 1e4),
        fc.constantFrom<1 | 2>(1, 2),
        fc.constantFrom(4, 6, 9),
        async (seed, scale, gain, channels) => {
          const size = spectralNorm(await rest({ gain, normalisation: "certified" }, seed, scale, channels));
          expect(size).toBeLessThanOrEqual(gain * (1 + 1e-12));
        },
      ),
      { numRuns: 60 },
    );
  });

  it("column: it is not", async () => {
    const sizes = await Promise.all([1, 2, 3, 4, 5].map(async (seed) => spectralNorm(await rest({}, seed, 10))));
    expect(Math.max(...sizes)).toBeGreaterThan(1.2);
  });

  it("doubles I - Q with gain 2", async () => {
    for (const normalisation of ["column", "spectral", "certified"] as const) {
      const [one, two] = [await rest({ normalisation }, 4, 1), await rest({ normalisation, gain: 2 }, 4, 1)];
      expect(distance(two, one.map((row) => row.map((x) => 2 * x)))).toBeLessThan(1e-14); // prettier-ignore
    }
  });

  it.each([
    [4, [2, 2]],
    [8, [2, 4]],
    [12, [3, 4]],
    [128, [8, 16]],
    [6, [2, 3]],
  ])("has for %i channels the factors %j", (channels, factors) => {
    expect(factorsOf("kronecker", channels, undefined)).toEqual(factors);
  });

  it.each([1, 2, 7, 13])("refuses %i channels at init, which have no factors", (channels) => {
    const shape = { channels, argument: channels };
    expect(() => kronecker().init(key(0), shape)).toThrow(
      new RegExp(`kronecker: ${channels} channels \\(expand \\* dModel\\) have no factors but 1; choose another width`),
    );
    expect(kronecker({ factors: [1, channels] }).init(key(0), shape).diag.bias?.shape).toEqual([1 + channels]);
  });

  it("refuses factors that do not multiply to the channels, at init and at bind", async () => {
    const mixer = kronecker({ factors: [2, 3] });
    expect(() => mixer.init(key(0), { channels: 8, argument: 8 })).toThrow(
      /kronecker: factors \[2, 3\] multiply to 6, but there are 8 channels/,
    );
    const bindWith = (other: KroneckerOptions): Promise<unknown> => {
      const params = kronecker(other).init(key(0), { channels: 8, argument: 8, dtype: "float64" });
      const run = (p: Parameters<typeof mixer.bind>[0], x: Parameters<typeof mixer.bind>[1]): typeof x =>
        kronecker().bind(p, x, "input").input;
      return device.run(run, params, operandsOf(kronecker(), { channels: 8, seed: 0 }).x);
    };
    await expect(bindWith({ factors: [1, 8] })).rejects.toThrow(/kronecker: the parameters have 9 strengths/);
    await expect(bindWith({ factors: [2, 4] })).resolves.toBeDefined();
  });

  it.each([
    [{ normalisation: "row" }, /kronecker: normalisation must be one of column, spectral, certified; got row/],
    [{ factors: [0, 4] }, /kronecker: factors\[0\] must be a positive integer, got 0/],
    [{ gain: 0 }, /kronecker: gain must be one of 1, 2; got 0/],
    [{ activation: "relu" }, /kronecker: activation must be one of silu, identity; got relu/],
    [{ projectionRank: 0 }, /kronecker: projectionRank must be a positive integer, got 0/],
    [{ eps: 0 }, /kronecker: eps must be a positive number, got 0/],
  ])("refuses %o", (options, message) => {
    expect(() => kronecker(options as never)).toThrow(message);
  });
});
