import { array, grad, type HostTensor, key, random, type Tracer, treeLeaves, treeMap } from "@banach/autograd";
import { reference } from "@banach/autograd/reference";
import { wasm } from "@banach/backend-wasm";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  auto,
  chunked,
  fpMamba,
  type FpMambaParams,
  fpRnn,
  type FpRnnParams,
  householder,
  type HouseholderParams,
  picard,
  sequential,
  type Solver,
  type SolverAndAdjoint,
  throughTime,
} from "../../src/index.ts";
import { distance, rnn, rnnData, type RnnTheta, slopes } from "../problems.ts";
import { EVERY_SOLVER, solved, statuses } from "./kit.ts";

const device = await reference();
const dtype = "float64" as const;
const tight = { tol: 1e-12, maxSteps: 2000 };
const scale = { recurrent: 0.7, local: 0.6 };

const rowOf = (x: HostTensor, b: number): number[] => {
  const size = x.data.length / x.shape[0]!;
  return Array.from(x.data.slice(b * size, (b + 1) * size));
};

describe("every solver", () => {
  it.each(EVERY_SOLVER)("finds Picard's fixed point of a contraction: %s", async (_, create) => {
    await fc.assert(
      fc.asyncProperty(
        fc.bigInt({ min: 0n, max: 1000n }),
        fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 5 })),
        fc.record({ recurrent: fc.constantFrom(0, 0.4, 0.9), local: fc.constantFrom(0, 0.5, 0.9) }),
        async (seed, shape, rates) => {
          const theta = rnnData(seed, rates, shape);
          const expected = await solved(device, rnn, theta, picard({ tol: 1e-14, maxSteps: 3000 }));
          // Rounding can keep Picard going between two points, 1e5 units apart where it is passed on through time.
          fc.pre(Math.max(...expected.stats.residual.data) < tight.tol);
          const { y, stats } = await solved(device, rnn, theta, create(tight));
          expect(distance(y, expected.y)).toBeLessThan(1e-10);
          expect(Array.from(stats.status.data)).toEqual(shape.slice(0, 1).flatMap((n) => Array<number>(n).fill(0)));
          expect(Math.max(...stats.residual.data)).toBeLessThan(1e-12);
        },
      ),
      {
        numRuns: 14,
        // Where the step from an iterate that meets the tolerance does not.
        examples: [
          [996n, [2, 6, 1], { recurrent: 0.4, local: 0.5 }],
          [1000n, [1, 6, 1], { recurrent: 0.4, local: 0.9 }],
        ],
      },
    );
  });

  // The authors' rule of Picard may return an iterate whose residual has grown again.
  it.each(EVERY_SOLVER.filter(([name]) => /current|anderson|newton/.test(name)))(
    "has converged where it stops by itself, at any tolerance: %s",
    async (_, create) => {
      await fc.assert(
        fc.asyncProperty(
          fc.bigInt({ min: 0n, max: 1000n }),
          fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 3 })),
          fc.constantFrom(0.1, 0.03, 0.01, 1e-4, 1e-6),
          async (seed, shape, tol) => {
            const theta = rnnData(seed, { recurrent: 0.9, local: 0.9 }, shape);
            const { stats } = await solved(device, rnn, theta, create({ tol, maxSteps: 2000 }));
            expect(Math.max(...stats.residual.data)).toBeLessThan(tol);
            expect(Math.max(...stats.status.data)).toBe(0);
          },
        ),
        {
          numRuns: 14,
          // For each of these solvers, one where the step from an iterate that meets the tolerance does not.
          examples: [
            [530n, [1, 4, 1], 0.01],
            [417n, [3, 6, 1], 0.01],
            [168n, [2, 5, 1], 1e-6],
            [260n, [1, 7, 1], 0.03],
          ],
        },
      );
    },
  );

  it.each(EVERY_SOLVER)("needs one iteration from the solution, and stays there: %s", async (_, create) => {
    const theta = rnnData(6n, scale, [2, 7, 4]);
    const { y } = await solved(device, rnn, theta, picard({ tol: 1e-15, maxSteps: 3000 }));
    const again = await solved(device, rnn, theta, create({ tol: 1e-10 }), y);
    expect(Array.from(again.stats.iterations.data)).toEqual([1, 1]);
    expect(statuses(again.stats.status.data)).toEqual(["converged", "converged"]);
    expect(distance(again.y, y)).toBeLessThan(1e-12);
  });

  it.each(EVERY_SOLVER)("tells a sequence with a NaN from the others, which it solves: %s", async (_, create) => {
    const theta = rnnData(4n, scale, [3, 7, 4]);
    const clean = await solved(device, rnn, theta, create(tight));
    theta.x.data[7 * 4 + 9] = Number.NaN;
    const { y, stats } = await solved(device, rnn, theta, create(tight));
    expect(statuses(stats.status.data)).toEqual(["converged", "nonFinite", "converged"]);
    // Picard's batch goes on together, so that others may make an iteration less.
    for (const b of [0, 2]) rowOf(y, b).forEach((value, i) => expect(value).toBeCloseTo(rowOf(clean.y, b)[i]!, 11));
  });

  it.each(EVERY_SOLVER)("ends at once, and says so, where all weights are NaN: %s", async (_, create) => {
    const theta = rnnData(5n, scale);
    theta.recurrent.data.fill(Number.NaN);
    theta.local.data.fill(Number.NaN);
    const { stats } = await solved(device, rnn, theta, create({ tol: 1e-9, maxSteps: 1_000_000 }));
    expect(statuses(stats.status.data)).toEqual(["nonFinite", "nonFinite", "nonFinite"]);
    expect(Math.max(...stats.iterations.data)).toBeLessThan(3);
  });

  it.each(EVERY_SOLVER)("reports the step limit per sequence: %s", async (_, create) => {
    const { stats } = await solved(
      device,
      rnn,
      rnnData(3n, { recurrent: 0.9, local: 0.9 }),
      create({ tol: 1e-12, maxSteps: 2 }),
    );
    expect(statuses(stats.status.data)).toEqual(["maxSteps", "maxSteps", "maxSteps"]);
    expect(Array.from(stats.iterations.data)).toEqual([2, 2, 2]);
    expect(Math.min(...stats.residual.data)).toBeGreaterThan(1e-12);
  });

  it.each(EVERY_SOLVER)("tells that a map expands, or finds its fixed point all the same: %s", async (_, create) => {
    // Picard runs away from the fixed point of y -> 3 y + x; acceleration may find it.
    const theta = { x: rnnData(3n, scale).x, slope: array(Float64Array.of(3, 3, 3, 3)) };
    const { y, stats } = await solved(device, slopes, theta, create({ tol: 1e-9, maxSteps: 400 }));
    expect(y.data.every(Number.isFinite)).toBe(true);
    statuses(stats.status.data).forEach((status, sequence) => {
      expect(status === "converged").toBe(stats.residual.data[sequence]! < 1e-9);
      expect(status).not.toBe("nonFinite");
    });
  });

  it.each(EVERY_SOLVER)("keeps its options with other tolerances: %s", async (_, create) => {
    const theta = rnnData(8n, scale, [2, 6, 3]);
    const changed = create({ tol: 0.3, maxSteps: 3 }).with(tight);
    expect([changed.tol, changed.maxSteps, changed.name]).toEqual([tight.tol, tight.maxSteps, create({}).name]);
    const [a, b] = [await solved(device, rnn, theta, changed), await solved(device, rnn, theta, create(tight))];
    expect(Array.from(a.y.data)).toEqual(Array.from(b.y.data));
  });

  it.each(EVERY_SOLVER)("refuses tolerances that are none: %s", (name, create) => {
    const solver = name.replace(/[,( ].*/, "");
    expect(() => create({ tol: -1 })).toThrow(`${solver}: tol must be at least 0, got -1`);
    expect(() => create({ tol: Number.NaN })).toThrow(`${solver}: tol must be at least 0, got NaN`);
    expect(() => create({ maxSteps: 0 })).toThrow(`${solver}: maxSteps must be a positive integer, got 0`);
  });
});

describe("every solver in a layer", () => {
  type Rnn<T> = FpRnnParams<T, HouseholderParams<T>>;
  type Mamba<T> = FpMambaParams<T, HouseholderParams<T>>;

  const input = random.normal(key(5), [2, 7, 4], { dtype });
  const rnnLayer = (choice: SolverAndAdjoint) =>
    fpRnn({ dModel: 4, mixer: householder({ rank: 2, gain: 1 }), dtype, ...choice });
  const mambaLayer = (solver: Solver, gluInLoop: boolean) =>
    fpMamba({ dModel: 4, dState: 3, mixer: householder({ rank: 2 }), dtype, gluInLoop, solver });
  const rnnParams: Rnn<HostTensor> = rnnLayer({}).init(key(1));

  it.each(EVERY_SOLVER)("agrees with Picard, from a carried state on: FP-RNN, %s", async (_, create) => {
    const run = async (solver: Solver) => {
      const layer = rnnLayer({ solver });
      const pieces = (p: Rnn<Tracer>, u: Tracer) => {
        const first = layer.apply(p, u.sliceAxis(1, 0, 3));
        return { first: first.y, second: layer.apply(p, u.sliceAxis(1, 3, 7), first.state) };
      };
      return device.get(await device.run(pieces, rnnParams, input));
    };
    const [actual, expected] = [await run(create(tight)), await run(picard(tight))];
    expect(Array.from(actual.second.stats.status.data)).toEqual([0, 0]);
    expect(distance(actual.first, expected.first)).toBeLessThan(1e-10);
    expect(distance(actual.second.y, expected.second.y)).toBeLessThan(1e-10);
    expect(distance(actual.second.state.y, expected.second.state.y)).toBeLessThan(1e-10);
  });

  it.each(EVERY_SOLVER)("agrees with Picard, from a carried state on: FP-Mamba, %s", async (_, create) => {
    for (const gluInLoop of [false, true]) {
      const params: Mamba<HostTensor> = mambaLayer(picard(), gluInLoop).init(key(2));
      // The gain of the normalisation in the loop scales the whole map: so it contracts.
      params.out_norm.weight.data.fill(0.2);
      const run = async (solver: Solver) => {
        const layer = mambaLayer(solver, gluInLoop);
        const pieces = (p: Mamba<Tracer>, u: Tracer) => {
          const first = layer.apply(p, u.sliceAxis(1, 0, 3));
          return { first: first.y, second: layer.apply(p, u.sliceAxis(1, 3, 7), first.state) };
        };
        return device.get(await device.run(pieces, params, input));
      };
      const [actual, expected] = [await run(create(tight)), await run(picard(tight))];
      expect(Array.from(actual.second.stats.status.data)).toEqual([0, 0]);
      expect(distance(actual.first, expected.first)).toBeLessThan(1e-10);
      expect(distance(actual.second.y, expected.second.y)).toBeLessThan(1e-10);
      expect(distance(actual.second.state.h, expected.second.state.h)).toBeLessThan(1e-10);
    }
  });

  it.each([chunked({ chunk: 3, ...tight }), auto({ ...tight, prefers: "parallel", width: 6 }), auto(tight)])(
    "gives the gradient through time: $name",
    async (solver) => {
      const gradient = async (choice: SolverAndAdjoint) => {
        const layer = rnnLayer(choice);
        const run = grad((p: Rnn<Tracer>, u: Tracer) => layer.apply(p, u).y.sin().sum());
        return treeLeaves<HostTensor>(await device.get(await device.run(run, rnnParams, input)));
      };
      const expected = await gradient({ solver: sequential(tight), adjoint: throughTime() });
      const actual = await gradient({ solver, adjoint: throughTime() });
      actual.forEach(({ path, leaf }, i) => expect(distance(leaf, expected[i]!.leaf), path).toBeLessThan(1e-10));
    },
  );
});

describe("every solver on wasm", () => {
  it.each(EVERY_SOLVER)("%s", async (_, create) => {
    await using fast = await wasm({ threads: 1 });
    const theta = rnnData(9n, scale, [2, 8, 5]);
    const expected = await solved(device, rnn, theta, create(tight));
    const single = treeMap((x: HostTensor) => array(Float32Array.from(x.data), { shape: x.shape }), theta);
    const { y, stats } = await solved<RnnTheta>(fast, rnn, single, create({ tol: 1e-5, maxSteps: 100 }));
    expect(statuses(stats.status.data)).toEqual(["converged", "converged"]);
    expect(distance(y, expected.y)).toBeLessThan(1e-4);
  });
});
