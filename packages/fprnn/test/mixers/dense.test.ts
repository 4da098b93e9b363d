import { describe, expect, it } from "vitest";
import { dense } from "../../src/index.ts";
import { distance, identity, layOpen, minus, spectralNorm, transpose } from "./kit.ts";

describe("dense", () => {
  it("is any matrix near the identity, not a symmetric one, and with gain 2 as far again", async () => {
    const rest = async (gain: 1 | 2): Promise<readonly (readonly number[])[]> =>
      minus(identity(5), (await layOpen(dense({ gain }), { channels: 5, seed: 3 })).q);
    const [one, two] = [await rest(1), await rest(2)];
    expect(distance(one, transpose(one))).toBeGreaterThan(0.01);
    expect(distance(two, one.map((row) => row.map((x) => 2 * x)))).toBeLessThan(1e-14); // prettier-ignore
  });

  it("loses little to the bound: with strengths near 1, the norm of I - Q is near 1", async () => {
    const { q } = await layOpen(dense(), { channels: 8, seed: 1, scale: 30, bias: 100 });
    expect(spectralNorm(minus(identity(8), q))).toBeGreaterThan(0.75);
  });

  it.each([
    [{ gain: "1" }, /dense: gain must be one of 1, 2; got 1/],
    [{ activation: "tanh" }, /dense: activation must be one of silu, identity; got tanh/],
    [{ projectionRank: 0 }, /dense: projectionRank must be a positive integer, got 0/],
    [{ eps: Infinity }, /dense: eps must be a positive number, got Infinity/],
  ])("refuses %o", (options, message) => {
    expect(() => dense(options as never)).toThrow(message);
  });
});
