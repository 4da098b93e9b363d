import { array, grad, type HostTensor, jit, key, random, type Tracer, treeLeaves } from "@banach/autograd";
import { reference } from "@banach/autograd/reference";
import { wasm } from "@banach/backend-wasm";
import { describe, expect, it } from "vitest";
import {
  depthScale,
  fpRnn,
  type FpRnnParams,
  householder,
  type HouseholderParams,
  picard,
  randomDepth,
  sequential,
  type SolverAndAdjoint,
  throughTime,
} from "../../src/index.ts";
import { rnn, rnnData, type RnnTheta } from "../problems.ts";
import { EVERY_SOLVER } from "./kit.ts";

const device = await reference();
const theta = rnnData(3n, { recurrent: 0.9, local: 0.9 });
const depthOf = (n: number): HostTensor => array(Int32Array.of(n), { shape: [] });

describe("a solver to a depth that only the run knows", () => {
  it.each(EVERY_SOLVER)("makes the iterations that maxSteps of so many makes: %s", async (_, create) => {
    const toDepth = (given: RnnTheta, depth: Tracer) =>
      create({ tol: 0, maxSteps: 9 }).with({ depth }).solve(rnn, given.x.zerosLike(), given);
    const run = jit(toDepth, { device });
    const compiled: number[] = [];
    for (const [depth, made] of [
      [-2, 1],
      [0, 1],
      [1, 1],
      [3, 3],
      [8, 8],
      [50, 9],
    ] as const) {
      const before = device.compiledPrograms;
      const solved = await device.get(await run(theta, depthOf(depth)));
      compiled.push(device.compiledPrograms - before);
      const plain = (given: RnnTheta) => create({ tol: 0, maxSteps: made }).solve(rnn, given.x.zerosLike(), given);
      const expected = await device.get(await device.run(plain, theta));
      expect(Array.from(solved.stats.iterations.data)).toEqual([made, made, made]);
      expect(Array.from(solved.y.data)).toEqual(Array.from(expected.y.data));
      expect(Array.from(solved.stats.status.data)).toEqual(Array.from(expected.stats.status.data));
    }
    expect(Math.max(...compiled.slice(1))).toBe(0);
  });

  it.each(EVERY_SOLVER)("stops before it where the tolerance is met: %s", async (_, create) => {
    const contracting = rnnData(3n, { recurrent: 0.3, local: 0.3 });
    const run = async (limits: (depth: Tracer) => { depth?: Tracer }) => {
      const toDepth = (given: RnnTheta, depth: Tracer) =>
        create({ tol: 1e-4, maxSteps: 90 }).with(limits(depth)).solve(rnn, given.x.zerosLike(), given).stats;
      return device.get(await device.run(toDepth, contracting, depthOf(80)));
    };
    const [limited, free] = [await run((depth) => ({ depth })), await run(() => ({}))];
    expect(Array.from(limited.iterations.data)).toEqual(Array.from(free.iterations.data));
    expect(Array.from(limited.status.data)).toEqual([0, 0, 0]);
  });

  it.each(EVERY_SOLVER)("keeps it with other tolerances, and refuses what is none: %s", async (name, create) => {
    const solver = name.replace(/[,( ].*/, "");
    const tol = 1e-9;
    const kept = (x: Tracer, depth: Tracer): Tracer => {
      expect(create({}).with({ depth }).with({ tol })).toMatchObject({ depth, tol });
      expect(() => create({}).with({ depth: x })).toThrow(`${solver}: depth must be int32[], got float64[`);
      expect(() => create({}).with({ depth: depth.reshape([1]) })).toThrow(
        `${solver}: depth must be int32[], got int32[1]`,
      );
      expect(() => create({}).with({ depth: 3 as never })).toThrow(`${solver}: depth is a tensor of a trace`);
      return x;
    };
    await device.run(kept, theta.x, depthOf(1));
  });

  it("is the depth of a layer's gradient too, on every backend", async () => {
    await using fast = await wasm({ threads: 1 });
    type Params<T> = FpRnnParams<T, HouseholderParams<T>>;
    const layer = (choice: SolverAndAdjoint) => fpRnn({ dModel: 4, mixer: householder({ rank: 2 }), ...choice });
    const params: Params<HostTensor> = layer({}).init(key(1));
    const input = random.normal(key(5), [2, 6, 4]);
    const gradient = (choose: (depth: Tracer) => SolverAndAdjoint) =>
      grad((p: Params<Tracer>, u: Tracer, depth: Tracer) => layer(choose(depth)).apply(p, u).y.sin().sum());
    for (const place of [device, fast]) {
      for (const solver of [sequential({ tol: 0, maxSteps: 9 }), picard({ tol: 0, maxSteps: 9 })]) {
        const choice = (limits: Parameters<typeof solver.with>[0]): SolverAndAdjoint =>
          solver.kind === "causal"
            ? { solver: solver.with(limits), adjoint: throughTime() }
            : { solver: solver.with(limits) };
        const run = async (choose: (depth: Tracer) => SolverAndAdjoint) =>
          treeLeaves<HostTensor>(await place.get(await place.run(gradient(choose), params, input, depthOf(3))));
        const actual = await run((depth) => choice({ depth }));
        const expected = await run(() => choice({ maxSteps: 3 }));
        actual.forEach(({ path, leaf }, i) => {
          expect(Array.from(leaf.data), path).toEqual(Array.from(expected[i]!.leaf.data));
        });
      }
    }
  });
});

describe("random depth", () => {
  /** P(depth <= n) for ceil(Gamma(4, scale)). */
  const cdf = (n: number, scale: number): number => {
    const x = n / scale;
    return 1 - Math.exp(-x) * (1 + x + x ** 2 / 2 + x ** 3 / 6);
  };

  it.each([1, 2, 5])("has the distribution of ceil(Gamma(4, %d))", (scale) => {
    const { draw } = randomDepth({ scale });
    const count = 4000;
    const draws = Array.from({ length: count }, (_, i) => draw(random.foldIn(key(7), i)));
    expect(draws.every((n) => Number.isSafeInteger(n) && n > 0)).toBe(true);
    const most = Math.max(...draws);
    for (let n = 1; n <= most; n++) {
      const share = draws.filter((drawn) => drawn <= n).length / count;
      // Kolmogorov and Smirnov: less than once in 10,000 samples, and draws of integers are closer still.
      expect(Math.abs(share - cdf(n, scale))).toBeLessThan(2.23 / Math.sqrt(count));
    }
    const mean = draws.reduce((a, b) => a + b, 0) / count;
    const variance = draws.reduce((a, b) => a + (b - mean) ** 2, 0) / count;
    const terms = Array.from({ length: 60 * scale }, (_, n) => 1 - cdf(n, scale));
    const expected = terms.reduce((a, b) => a + b, 0);
    const square = terms.reduce((a, b, n) => a + (2 * n + 1) * b, 0);
    const deviation = Math.sqrt(square - expected ** 2);
    expect(Math.abs(mean - expected)).toBeLessThan((4 * deviation) / Math.sqrt(count));
    expect(Math.abs(variance / deviation ** 2 - 1)).toBeLessThan(0.15);
  });

  it("is a function of the key", () => {
    const { draw, shape, scale } = randomDepth();
    expect([shape, scale]).toEqual([4, 1]);
    const draws = (seed: number): number[] => Array.from({ length: 20 }, (_, i) => draw(random.foldIn(key(seed), i)));
    expect(draws(1)).toEqual(draws(1));
    expect(draws(1)).not.toEqual(draws(2));
    expect(new Set(draws(1)).size).toBeGreaterThan(2);
  });

  it("has the authors' schedule of scales", () => {
    // Means of 8 and 20 for sequences of up to 16 and 64.
    expect([16, 64].map((length) => 4 * depthScale(length))).toEqual([8, 20]);
  });

  it("refuses options that are none", () => {
    expect(() => randomDepth({ shape: 0 })).toThrow("randomDepth: shape must be a positive number, got 0");
    expect(() => randomDepth({ scale: Infinity })).toThrow(
      "randomDepth: scale must be a positive number, got Infinity",
    );
    expect(() => depthScale(0)).toThrow("depthScale: length must be a positive integer, got 0");
  });
});
