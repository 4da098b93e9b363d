import { key } from "@banach/autograd";
import { describe, expect, it } from "vitest";
import { monarch } from "../../src/index.ts";
import { identity, layOpen, minus } from "./kit.ts";

describe("monarch", () => {
  it("is block-diagonal times permuted block-diagonal: entry (a b, i j) is L_b[a, i] R_i[b, j]", async () => {
    const [d1, d2] = [2, 3];
    const { q } = await layOpen(monarch(), { channels: d1 * d2, seed: 3 });
    const rest = minus(identity(d1 * d2), q);
    for (let b = 0; b < d2; b++) {
      for (let i = 0; i < d1; i++) {
        // Over a and j this is an outer product, whose minors are 0.
        const at = (a: number, j: number): number => rest[a * d2 + b]![i * d2 + j]!;
        for (const [j, k] of [[0, 1], [1, 2]] as const) expect(at(0, j) * at(1, k)).toBeCloseTo(at(0, k) * at(1, j), 14); // prettier-ignore
      }
    }
    expect(rest.flat().every((x) => Math.abs(x) > 1e-6)).toBe(true);
  });

  it("refuses channels without factors, and factors of other channels", () => {
    expect(() => monarch().init(key(0), { channels: 7, argument: 7 })).toThrow(
      /monarch: 7 channels .* have no factors/,
    );
    const other = monarch({ factors: [2, 2] });
    expect(() => other.init(key(0), { channels: 6, argument: 6 })).toThrow(
      /monarch: factors \[2, 2\] multiply to 4, but there are 6 channels/,
    );
    expect(() => monarch({ factors: [2, 1.5] })).toThrow(/monarch: factors\[1\] must be a positive integer, got 1.5/);
  });

  it.each([
    [{ gain: 3 }, /monarch: gain must be one of 1, 2; got 3/],
    [{ activation: "tanh" }, /monarch: activation must be one of silu, identity; got tanh/],
    [{ projectionRank: -1 }, /monarch: projectionRank must be a positive integer, got -1/],
    [{ eps: NaN }, /monarch: eps must be a positive number, got NaN/],
  ])("refuses %o", (options, message) => {
    expect(() => monarch(options as never)).toThrow(message);
  });
});
