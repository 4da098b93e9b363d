import { array, type Tracer } from "@banach/autograd";
import { reference } from "@banach/autograd/reference";
import { describe, expect, it } from "vitest";
import { causalProblem, fixedPoint, picard, sequential, solve, type Solver, STATUSES } from "../../src/index.ts";
import { distance, rnn, rnnData, type RnnTheta, slopes } from "../problems.ts";

const device = await reference();

async function solveRnn(solver: Solver, theta: ReturnType<typeof rnnData>) {
  return device.get(
    await device.run(
      (t: RnnTheta) =>
        fixedPoint(rnn, t.x.zerosLike(), t, { solver }) as {
          y: Tracer;
          stats: { status: Tracer; iterations: Tracer; residual: Tracer };
        },
      theta,
    ),
  );
}

describe("sequential", () => {
  it("finds Picard's fixed point of a contraction", async () => {
    const theta = rnnData(1n, { recurrent: 0.8, local: 0.8 });
    const front = await solveRnn(sequential({ tol: 1e-12, maxSteps: 200 }), theta);
    const whole = await solveRnn(picard({ tol: 1e-13, maxSteps: 1000 }), theta);
    expect(distance(front.y, whole.y)).toBeLessThan(1e-11);
    expect(Array.from(front.stats.status.data)).toEqual([0, 0, 0]);
    expect(Math.max(...front.stats.residual.data)).toBeLessThan(1e-12);
  });

  it("needs one local iteration and one to see it, where the map is explicit in time, however long the sequence", async () => {
    const theta = rnnData(2n, { recurrent: 4, local: 0 }, [2, 40, 4]);
    const front = await solveRnn(sequential({ tol: 1e-12 }), theta);
    expect(Array.from(front.stats.iterations.data)).toEqual([2, 2]);
    const whole = await solveRnn(picard({ tol: 1e-12, maxSteps: 500 }), theta);
    expect(whole.stats.iterations.data[0]).toBeGreaterThan(10);
    expect(distance(front.y, whole.y)).toBeLessThan(1e-10);
  });

  it("reports the step limit per sequence", async () => {
    const theta = rnnData(3n, { recurrent: 0.5, local: 0.9 });
    const { stats } = await solveRnn(sequential({ tol: 1e-12, maxSteps: 2 }), theta);
    expect(Array.from(stats.status.data, (code) => STATUSES[code]!)).toEqual(["maxSteps", "maxSteps", "maxSteps"]);
    expect(Array.from(stats.iterations.data)).toEqual([2, 2, 2]);
  });

  it("stops at once where the input is NaN, and leaves the other sequences alone", async () => {
    const theta = rnnData(4n, { recurrent: 0.5, local: 0.5 });
    const clean = await solveRnn(sequential({ tol: 1e-10 }), theta);
    theta.x.data[0] = Number.NaN;
    const { y, stats } = await solveRnn(sequential({ tol: 1e-10 }), theta);
    expect(Array.from(stats.status.data, (code) => STATUSES[code]!)).toEqual(["nonFinite", "converged", "converged"]);
    const row = y.data.length / 3;
    expect(Array.from(y.data.slice(row))).toEqual(Array.from(clean.y.data.slice(row)));
  });

  it("gives up the sequences that run away at some step, and tells them from those that only do not get there", async () => {
    const solveSlope = (slope: number, given: readonly number[]) => {
      const theta = {
        x: array(Float64Array.from(given), { shape: [2, given.length / 2, 1] }),
        slope: array(Float64Array.of(slope)),
      };
      const y0 = array(new Float64Array(given.length), { shape: theta.x.shape });
      return solve(device, slopes, y0, theta, { solver: sequential({ tol: 1e-6, maxSteps: 80 }), throw: false });
    };
    const names = (codes: ArrayLike<number>): unknown => Array.from(codes, (code) => STATUSES[code]);
    // 0 is the fixed point of the first sequence; the second leaves it at its second step.
    const { y, stats } = await solveSlope(-1.5, [0, 0, 0, 0, 1, 0]);
    expect(names(stats.status.data)).toEqual(["converged", "diverged"]);
    expect(stats.iterations.data[1]).toBeLessThan(20);
    expect(Math.abs(y.data[4]!)).toBeGreaterThan(100);
    expect(y.data.every(Number.isFinite)).toBe(true);
    // Too slow to run away in 80 iterations, and yet it grows: 1.03^80 = 10.6.
    const slowly = await solveSlope(-1.03, [0, 0, 0, 0, 1, 0]);
    expect(slowly.stats.iterations.data[1]).toBe(80);
    expect(names(slowly.stats.status.data)).toEqual(["converged", "diverged"]);
    const slow = await solveSlope(-1.001, [0, 0, 0, 0, 1, 0]);
    expect(names(slow.stats.status.data)).toEqual(["converged", "maxSteps"]);
  });

  it("handles a single sequence of a single step", async () => {
    const { y, stats } = await solveRnn(
      sequential({ tol: 1e-10 }),
      rnnData(5n, { recurrent: 1, local: 0.5 }, [1, 1, 4]),
    );
    expect(y.shape).toEqual([1, 1, 4]);
    expect(stats.status.data[0]).toBe(0);
  });

  it("reports the residual of what it returns, so that a map that expands does not pass for solved", async () => {
    // y -> 1 + 5 (y - 1): from 1.001 the first change is small, and every one after it larger.
    const away = causalProblem<Tracer, Tracer, Tracer, Tracer>((y) => y.mul(5).sub(4), {
      prepare: (theta) => ({
        inputs: theta.transpose([1, 0, 2]),
        state: theta.index(1, 0),
        previous: theta.index(1, 0),
      }),
      at: (x) => x,
      local: (y) => y.mul(5).sub(4),
      advance: (_state, solution) => ({ y: solution.mul(5).sub(4), state: solution }),
    });
    const start = array(new Float64Array(1).fill(1.001), { shape: [1, 1, 1] });
    const solver = sequential({ tol: 0.03, maxSteps: 40 });
    const { y, stats } = await solve(device, away, start, start, { solver, throw: false });
    const own = Math.abs((y.data[0]! * 5 - 4 - y.data[0]!) / (y.data[0]! * 5 - 4));
    expect(stats.residual.data[0]).toBeCloseTo(own, 6);
    expect(STATUSES[stats.status.data[0]!]).toBe("maxSteps");
  });
});
