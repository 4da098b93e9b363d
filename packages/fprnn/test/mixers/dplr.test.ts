import { describe, expect, it } from "vitest";
import { dplr, householder } from "../../src/index.ts";
import { distance, identity, layOpen, minus, spectralNorm } from "./kit.ts";

const place = { channels: 6, seed: 3 };

describe("dplr", () => {
  it("is householder at rank 1, and not above", async () => {
    for (const gain of [1, 2] as const) {
      const at = async (rank: number): Promise<number> => {
        const [a, b] = [await layOpen(dplr({ rank, gain }), place), await layOpen(householder({ rank, gain }), place)];
        return distance(a.q, b.q);
      };
      expect(await at(1)).toBeLessThan(1e-15);
      expect(await at(2)).toBeGreaterThan(1e-3);
    }
  });

  it("doubles I - Q with gain 2", async () => {
    const rest = async (gain: 1 | 2): Promise<readonly (readonly number[])[]> =>
      minus(identity(6), (await layOpen(dplr({ rank: 3, gain }), place)).q);
    const [one, two] = [await rest(1), await rest(2)];
    expect(distance(two, one.map((row) => row.map((x) => 2 * x)))).toBeLessThan(1e-15); // prettier-ignore
  });

  it("has a bound that is exact at rank 1 and where all directions agree", async () => {
    for (const [rank, channels] of [
      [1, 6],
      [3, 1],
    ] as const) {
      const { q, bound } = await layOpen(dplr({ rank }), { channels, seed: 5 });
      expect(bound).toBeCloseTo(spectralNorm(minus(identity(channels), q)), 12);
    }
  });

  it.each([
    [{ rank: 0 }, /dplr: rank must be a positive integer, got 0/],
    [{ gain: 3 }, /dplr: gain must be one of 1, 2; got 3/],
    [{ activation: "relu" }, /dplr: activation must be one of silu, identity; got relu/],
    [{ projectionRank: 0.5 }, /dplr: projectionRank must be a positive integer, got 0.5/],
    [{ eps: -1 }, /dplr: eps must be a positive number, got -1/],
  ])("refuses %o", (options, message) => {
    expect(() => dplr(options as never)).toThrow(message);
  });
});
