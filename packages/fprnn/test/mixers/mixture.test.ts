import { type HostTensor, key } from "@banach/autograd";
import { describe, expect, it } from "vitest";
import { dplr, householder, kronecker, mixture, type MixtureParams, orthogonal } from "../../src/index.ts";
import { distance, layOpenWith, type Matrix, operandsOf } from "./kit.ts";

const place = { channels: 6, seed: 3 };

describe("mixture", () => {
  it("is an expert where the gate chooses it, and the mean of all where it does not choose", async () => {
    const experts = [householder({ rank: 2 }), kronecker(), orthogonal({ gain: 2 })] as const;
    const mixer = mixture({ experts });
    const operands = operandsOf(mixer, place);
    const params = operands.params as MixtureParams<HostTensor>;
    params.gate.g.data.fill(0);
    const gate = (logits: readonly number[]): unknown => params.gate.bias!.data.set(logits);
    const each: Matrix[] = [];
    for (const [k, expert] of experts.entries()) {
      gate(experts.map((_, i) => (i === k ? 1e3 : 0)));
      const alone = await layOpenWith(expert, place, { ...operands, params: params.experts[k] });
      const chosen = await layOpenWith(mixer, place, operands);
      expect(distance(chosen.q, alone.q)).toBeLessThan(1e-15);
      each.push(alone.q);
    }
    gate([0, 0, 0]);
    const { q } = await layOpenWith(mixer, place, operands);
    const mean = q.map((row, i) => row.map((_, j) => each.reduce((s, m) => s + m[i]![j]!, 0) / experts.length));
    expect(distance(q, mean)).toBeLessThan(1e-15);
  });

  it("says what it is a mixture of, and has their parameters", () => {
    const mixer = mixture({ experts: [dplr({ rank: 2 }), orthogonal()] });
    expect(mixer.name).toBe("mixture(dplr(2), orthogonal)");
    const { gate, experts } = mixer.init(key(0), { channels: 4, argument: 8 });
    expect(gate.bias?.shape).toEqual([2]);
    expect(experts[0].alpha_proj.bias?.shape).toEqual([2]);
    expect(experts[1].v.shape).toEqual([4, 4]);
  });

  it("can be nested", async () => {
    const mixer = mixture({ experts: [mixture({ experts: [dplr(), householder()] }), dplr({ rank: 2 })] });
    const { lowRank, q } = await layOpenWith(mixer, place, operandsOf(mixer, place));
    const rest = q.map((row, i) => row.map((x, j) => (i === j ? 1 : 0) - x));
    expect(distance(lowRank!, rest)).toBeLessThan(1e-14);
  });

  it("refuses to be one of nothing", () => {
    expect(() => mixture({ experts: [] })).toThrow(/mixture: experts is empty; give one mixer at least/);
  });
});
