import { ArgumentError, array, type HostTensor, key, random, type Tracer } from "@banach/autograd";
import { describe, expect, it } from "vitest";
import { dplr, householder, type HouseholderOptions, type MixerArgument } from "../../src/index.ts";
import { projectionAt } from "../../src/mixers/projection.ts";
import { device, identity, layOpen, type Matrix, minus, spectralNorm } from "./kit.ts";

const D = 6;

const dense = async (options: HouseholderOptions, argument: MixerArgument = "concatenated"): Promise<Matrix> =>
  (await layOpen(householder(options), { channels: D, seed: 3, argument })).q;

const minusIdentity = (q: Matrix): Matrix => minus(q, identity(D));

describe("householder", () => {
  it.each([1, 2, 4])("never lengthens a vector, at rank %i and either gain", async (rank) => {
    for (const gain of [1, 2] as const)
      expect(spectralNorm(await dense({ rank, gain }))).toBeLessThanOrEqual(1 + 1e-12);
  });

  it("at rank 1 and gain 1 moves along one direction, by less than the identity: the map contracts", async () => {
    expect(spectralNorm(minusIdentity(await dense({ rank: 1, gain: 1 })))).toBeLessThan(1);
  });

  it("doubles the reflection with gain 2", async () => {
    const [one, two] = [minusIdentity(await dense({ gain: 1 })), minusIdentity(await dense({ gain: 2 }))];
    one.forEach((row, i) => row.forEach((x, j) => expect(two[i]![j]).toBeCloseTo(2 * x, 12)));
  });

  it("depends on y where the argument has it, and not where it is the input alone", async () => {
    const mixer = householder({ rank: 2 });
    for (const [argument, size] of [
      ["concatenated", 2 * D],
      ["symmetric", D],
      ["input", D],
    ] as const) {
      const params = mixer.init(key(1), { channels: D, argument: size });
      const q = async (previous: number): Promise<number[]> => {
        const run = (p: Parameters<typeof mixer.bind>[0], x: Tracer, y: Tracer): Tracer => {
          const { input, hidden, weights } = mixer.bind(p, x, argument);
          return mixer.apply(mixer.at(projectionAt(input, hidden, y), weights), x);
        };
        const x = random.normal(key(2), [1, D]);
        return Array.from(
          (await device.get(await device.run(run, params, x, array([Array<number>(D).fill(previous)])))).data,
        );
      };
      const [a, b] = [await q(0), await q(1)];
      if (argument === "input") expect(a).toEqual(b);
      else expect(a).not.toEqual(b);
    }
  });

  it("names its parameters as the authors' checkpoints do", () => {
    const params = householder({ rank: 2, projectionRank: 3 }).init(key(0), { channels: D, argument: 2 * D });
    expect(params.alpha_proj.bias?.shape).toEqual([2]);
    const inner = params.u_proj as readonly { v: HostTensor }[];
    expect(inner.map(({ v }) => v.shape)).toEqual([
      [3, 12],
      [12, 3],
    ]);
  });

  it.each([
    ["householder", householder],
    ["dplr", dplr],
  ] as const)("refuses parameters of another rank or width in bind, by name: %s", async (name, create) => {
    const bindWith = (rank: number, other: number, channels = D, projectionRank?: number): Promise<unknown> => {
      const argument = projectionRank === undefined ? "symmetric" : "input";
      const options = projectionRank === undefined ? {} : { projectionRank };
      const params = create({ rank: other, ...options }).init(key(1), { channels, argument: D });
      const mixer = create({ rank, ...options });
      const run = (p: Parameters<typeof mixer.bind>[0], x: Tracer): Tracer => mixer.bind(p, x, argument).input;
      return device.run(run, params, random.normal(key(2), [1, D]));
    };
    await expect(bindWith(2, 2)).resolves.toBeDefined();
    await expect(bindWith(2, 2, D, 3)).resolves.toBeDefined();
    const message = `${name}: the parameters have 2 strengths and 12 values, rank 4 of 6 channels needs 4 and 24; give the rank that init was given`;
    await expect(bindWith(4, 2)).rejects.toThrow(message);
    await expect(bindWith(4, 2)).rejects.toThrow(ArgumentError);
    await expect(bindWith(4, 2, D, 3)).rejects.toThrow(message);
    await expect(bindWith(2, 2, D + 1)).rejects.toThrow(/have 2 strengths and 14 values, rank 2 of 6 channels needs 2/);
  });

  it.each([0, -1, 1.5])("refuses rank %s", (rank) => {
    expect(() => householder({ rank })).toThrow(/rank must be a positive integer/);
  });

  it.each([
    [{ gain: 3 }, /gain must be one of 1, 2; got 3/],
    [{ activation: "relu" }, /activation must be one of silu, identity; got relu/],
    [{ projectionRank: 0 }, /projectionRank must be a positive integer, got 0/],
    [{ eps: 0 }, /eps must be a positive number, got 0/],
  ])("refuses %o", (options, message) => {
    expect(() => householder(options as never)).toThrow(message);
  });
});
