import { array, type HostTensor, key, random, type Tracer } from "@banach/autograd";
import { reference } from "@banach/autograd/reference";
import { describe, expect, it } from "vitest";
import { householder, type HouseholderOptions, type MixerArgument } from "../../src/index.ts";
import { projectionAt } from "../../src/mixers/projection.ts";

const device = await reference();
const D = 6;

/** Q at one position as a dense matrix, rows of the result being Q e_j. */
async function dense(options: HouseholderOptions, argument: MixerArgument = "concatenated"): Promise<HostTensor> {
  const mixer = householder(options);
  const size = argument === "concatenated" ? 2 * D : D;
  const params = mixer.init(key(3), { channels: D, argument: size, dtype: "float64" });
  const [x, y] = random.split(key(4), 2).map((k) => random.normal(k, [1, D], { dtype: "float64" }));
  const unit = array(
    Array.from({ length: D }, (_, i) => Array.from({ length: D }, (_, j) => (i === j ? 1 : 0))),
    { dtype: "float64" },
  );
  const run = (
    p: typeof params extends infer _ ? Parameters<typeof mixer.bind>[0] : never,
    input: Tracer,
    previous: Tracer,
    units: Tracer,
  ): Tracer => {
    const { input: own, hidden, weights } = mixer.bind(p, input.broadcastTo([D, D]), argument);
    return mixer.apply(mixer.at(projectionAt(own, hidden, previous.broadcastTo([D, D])), weights), units);
  };
  return device.get(await device.run(run, params, x!, y!, unit));
}

/** Largest singular value by power iteration on A^T A. */
function norm(a: readonly (readonly number[])[]): number {
  let v = a.map((_, i) => 1 + i / 10);
  let size = 0;
  for (let i = 0; i < 500; i++) {
    const av = a.map((row) => row.reduce((s, x, j) => s + x * v[j]!, 0));
    const w = v.map((_, j) => a.reduce((s, row, r) => s + row[j]! * av[r]!, 0));
    size = Math.sqrt(Math.hypot(...w) / Math.hypot(...v));
    const length = Math.hypot(...w) || 1;
    v = w.map((x) => x / length);
  }
  return size;
}

const rows = (m: HostTensor): number[][] => m.toNested() as number[][];
const minusIdentity = (m: HostTensor): number[][] => rows(m).map((row, i) => row.map((x, j) => x - (i === j ? 1 : 0)));

describe("householder", () => {
  it.each([1, 2, 4])("never lengthens a vector, at rank %i and either gain", async (rank) => {
    for (const gain of [1, 2] as const) expect(norm(rows(await dense({ rank, gain })))).toBeLessThanOrEqual(1 + 1e-12);
  });

  it("at rank 1 and gain 1 moves along one direction, by less than the identity: the map contracts", async () => {
    expect(norm(minusIdentity(await dense({ rank: 1, gain: 1 })))).toBeLessThan(1);
  });

  it("doubles the reflection with gain 2", async () => {
    const [one, two] = [
      minusIdentity(await dense({ rank: 1, gain: 1 })),
      minusIdentity(await dense({ rank: 1, gain: 2 })),
    ];
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
