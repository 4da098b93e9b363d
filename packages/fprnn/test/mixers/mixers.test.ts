/** What every mixer promises, as properties of its dense matrix. */
import { type Concrete, grad, makeGraph, random, key, type Tracer } from "@banach/autograd";
import { complexStep } from "@banach/autograd/testing";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  dense,
  dplr,
  householder,
  kronecker,
  type Mixer,
  mixture,
  monarch,
  orthogonal,
  solveWoodbury,
} from "../../src/index.ts";
import {
  device,
  distance,
  flat,
  identity,
  layOpen,
  minus,
  mixerAt,
  operandsOf,
  type Place,
  spectralNorm,
  times,
  transpose,
} from "./kit.ts";

type Gain = 1 | 2;

interface Subject {
  readonly make: (gain: Gain) => Mixer;
  /** Whether I - Q has factors of low rank; default false. */
  readonly lowRank?: boolean;
  /** Whether the norm of I - Q is at most the gain, whatever the parameters; default false. */
  readonly certified?: boolean;
  /** Numbers of channels to try. */
  readonly channels: readonly number[];
}

const MIXERS: Readonly<Record<string, Subject>> = {
  "householder, rank 1": {
    make: (gain) => householder({ gain }),
    lowRank: true,
    certified: true,
    channels: [1, 2, 5, 8],
  },
  "householder, rank 3": { make: (gain) => householder({ rank: 3, gain }), lowRank: true, channels: [1, 2, 5, 8] },
  "householder, identity, through a bottleneck": {
    make: (gain) => householder({ rank: 2, gain, activation: "identity", projectionRank: 3 }),
    lowRank: true,
    channels: [3, 6],
  },
  "dplr, rank 1": { make: (gain) => dplr({ gain }), lowRank: true, certified: true, channels: [1, 5] },
  "dplr, rank 3": { make: (gain) => dplr({ rank: 3, gain }), lowRank: true, channels: [1, 2, 5, 8] },
  "kronecker, column": { make: (gain) => kronecker({ gain }), channels: [4, 6, 9] },
  "kronecker, spectral": { make: (gain) => kronecker({ gain, normalisation: "spectral" }), channels: [4, 6] },
  "kronecker, certified": {
    make: (gain) => kronecker({ gain, normalisation: "certified" }),
    certified: true,
    channels: [4, 6, 9],
  },
  "kronecker with factors, identity, through a bottleneck": {
    make: (gain) => kronecker({ gain, factors: [4, 2], activation: "identity", projectionRank: 3 }),
    channels: [8],
  },
  monarch: { make: (gain) => monarch({ gain }), certified: true, channels: [4, 6] },
  "monarch with factors, identity, through a bottleneck": {
    make: (gain) => monarch({ gain, factors: [4, 2], activation: "identity", projectionRank: 3 }),
    certified: true,
    channels: [8],
  },
  dense: { make: (gain) => dense({ gain }), certified: true, channels: [1, 2, 5] },
  "dense, identity, through a bottleneck": {
    make: (gain) => dense({ gain, activation: "identity", projectionRank: 2 }),
    certified: true,
    channels: [3],
  },
  orthogonal: { make: (gain) => orthogonal({ gain }), certified: true, channels: [1, 2, 5] },
  "orthogonal, of 2 reflections": {
    make: (gain) => orthogonal({ gain, reflections: 2 }),
    certified: true,
    channels: [1, 4],
  },
  "mixture of low rank": {
    make: (gain) => mixture({ experts: [householder({ rank: 2, gain }), dplr({ gain })] }),
    lowRank: true,
    channels: [1, 5],
  },
  "mixture of all sorts": {
    make: (gain) =>
      mixture({
        experts: [
          householder({ gain }),
          orthogonal({ gain }),
          kronecker({ gain, projectionRank: 2 }),
          monarch({ gain }),
        ],
      }),
    channels: [4, 6],
  },
};

const placeOf = (channels: readonly number[]): fc.Arbitrary<Place> =>
  fc.record({
    channels: fc.constantFrom(...channels),
    seed: fc.nat({ max: 1 << 20 }),
    scale: fc.constantFrom(1, 0.1, 4, 40),
    argument: fc.constantFrom("concatenated", "symmetric", "input"),
  });

/** Programs are compiled for each case. */
const TIMEOUT = 30_000;

const gains = fc.constantFrom<Gain>(1, 2);

describe.each(Object.entries(MIXERS))(
  "%s",
  { timeout: TIMEOUT },
  (_, { make, lowRank: hasFactors = false, certified = false, channels }) => {
    it("has a transpose, factors of I - Q and a bound on its norm, which fit Q", async () => {
      await fc.assert(
        fc.asyncProperty(placeOf(channels), gains, async (place, gain) => {
          const { q, transposed, lowRank, bound } = await layOpen(make(gain), place);
          const rest = minus(identity(place.channels), q);
          expect(distance(transposed, transpose(q))).toBeLessThan(1e-12);
          expect(lowRank !== null).toBe(hasFactors);
          if (lowRank !== null) expect(distance(lowRank, rest)).toBeLessThan(1e-12);
          const norm = spectralNorm(rest);
          expect(norm).toBeLessThanOrEqual(bound! * (1 + 1e-9) + 1e-12);
          if (certified) expect(bound).toBeLessThanOrEqual(gain * (1 + 1e-9));
        }),
        { numRuns: 16 },
      );
    });
  },
);

const LOW_RANK = Object.entries(MIXERS).filter(([, { lowRank }]) => lowRank);

describe.each(LOW_RANK)("%s, of low rank", { timeout: TIMEOUT }, (_, { make, channels }) => {
  it("solves its equation with diagonals", async () => {
    await fc.assert(
      fc.asyncProperty(placeOf(channels), gains, async (place, gain) => {
        const mixer = make(gain);
        const [d, e, rhs] = random
          .split(key(place.seed + 1), 3)
          .map((k) => random.uniform(k, [1, place.channels], { low: 0.1, high: 0.9, dtype: "float64" }));
        const { params, x, y } = operandsOf(mixer, place);
        const run = (p: unknown, a: Tracer, b: Tracer, d: Tracer, e: Tracer, rhs: Tracer): Tracer =>
          solveWoodbury(mixer.lowRank(mixerAt(mixer, p, a, b, place.argument!))!, { d, e, rhs });
        const args = [params, x, y, d, e, rhs] as Concrete<Parameters<typeof run>>;
        const solution = await device.get(await device.run(run, ...args));
        const { q } = await layOpen(mixer, place);
        const [given, scales] = [Array.from(d!.data), Array.from(e!.data)];
        const mixed = times(q, Array.from(solution.data));
        const size = Math.max(...solution.data.map(Math.abs));
        mixed.forEach((value, i) => {
          const left = given[i]! * solution.data[i]! + scales[i]! * value;
          expect(Math.abs(left - rhs!.data[i]!)).toBeLessThan(1e-10 * (1 + size));
        });
      }),
      { numRuns: 12 },
    );
  });

  it("has the gradient that the complex step gives, in every parameter and argument", async () => {
    for (const gain of [1, 2] as const) {
      const mixer = make(gain);
      const place = { channels: channels.at(-1)!, seed: 7 + gain };
      const operands = operandsOf(mixer, place);
      const given = { ...operands, z: random.normal(key(99), [1, place.channels], { dtype: "float64" }) };
      type Given = Record<"params" | "x" | "y" | "z", Tracer>;
      const loss = ({ params, x, y, z }: Given): Tracer => {
        const q = mixerAt(mixer, params, x, y, "concatenated");
        const both = mixer.apply(q, z).sin().add(mixer.applyTransposed(q, z).cos());
        const bound = mixer.bound(q);
        return bound === null ? both.sum() : both.sum().add(bound.sin().sum());
      };
      const gradient = flat(await device.get(await device.run(grad(loss), given as never)));
      const graph = makeGraph(loss, given as never);
      const inputs = flat(given);
      const direction = inputs.map((x, i) =>
        Float64Array.from(random.normal(random.foldIn(key(5), i), [x.length], { dtype: "float64" }).data),
      );
      const [slope] = complexStep(graph, inputs, direction);
      const expected = gradient.reduce((s, g, i) => s + g.reduce((t, v, j) => t + v * direction[i]![j]!, 0), 0);
      expect(Math.abs(slope![0]! - expected)).toBeLessThan(1e-11 * (1 + Math.abs(expected)));
    }
  });
});
