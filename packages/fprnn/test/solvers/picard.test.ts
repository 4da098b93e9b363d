import { reference } from "@banach/autograd/reference";
import { NotConvergedError, type Tracer } from "@banach/autograd";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { picard, type Problem, solve, STATUSES } from "../../src/index.ts";
import { constantData, scalarMap } from "../problems.ts";

const device = await reference();
const status = (codes: ArrayLike<number>): string[] => Array.from(codes, (code) => STATUSES[code]!);

describe("picard", () => {
  it("finds the fixed point of a contraction and reports its residual", async () => {
    const { y, stats } = await solve(device, scalarMap(0.5), constantData(0), constantData(3), { tol: 1e-10 });
    expect(y.data.every((value) => Math.abs(value - 6) < 1e-8)).toBe(true);
    expect(status(stats.status.data)).toEqual(["converged", "converged"]);
    expect(Math.max(...stats.residual.data)).toBeLessThan(1e-10);
  });

  it("makes exactly maxSteps sweeps with tol 0, and does not throw", async () => {
    const solver = picard({ tol: 0, step: 1, maxSteps: 3 });
    const { y, stats } = await solve(device, scalarMap(0.5), constantData(0), constantData(1), { solver });
    expect(y.data[0]).toBe(1 + 0.5 + 0.25);
    expect(Array.from(stats.iterations.data)).toEqual([3, 3]);
    expect(status(stats.status.data)).toEqual(["maxSteps", "maxSteps"]);
  });

  it("stays where it is when it starts at the solution", async () => {
    const { y, stats } = await solve(device, scalarMap(0.5), constantData(6), constantData(3), { tol: 1e-12 });
    expect(y.data.every((value) => value === 6)).toBe(true);
    expect(Array.from(stats.iterations.data)).toEqual([1, 1]);
  });

  it("gives up on an expanding map before it overflows, and says so", async () => {
    const options = { solver: picard({ tol: 1e-6, maxSteps: 500 }), throw: false };
    const { y, stats } = await solve(device, scalarMap(1.5), constantData(0), constantData(1), options);
    expect(status(stats.status.data)).toEqual(["diverged", "diverged"]);
    expect(y.data.every(Number.isFinite)).toBe(true);
    expect(stats.iterations.data[0]).toBeLessThan(100);
    await expect(
      solve(device, scalarMap(1.5), constantData(0), constantData(1), { ...options, throw: true }),
    ).rejects.toThrow(NotConvergedError);
  });

  it("says so too of a map that expands too slowly to be given up", async () => {
    const options = { solver: picard({ tol: 1e-6, maxSteps: 100 }), throw: false };
    // 1.05^100 = 131.5.
    const { stats } = await solve(device, scalarMap(-1.05), constantData(0), constantData(1), options);
    expect(Array.from(stats.iterations.data)).toEqual([100, 100]);
    expect(status(stats.status.data)).toEqual(["diverged", "diverged"]);
  });

  it("reports a map of period two as not converged, and solves it with damping", async () => {
    const flip = scalarMap(-1);
    const plain = await solve(device, flip, constantData(0), constantData(1), { tol: 1e-9, throw: false });
    expect(status(plain.stats.status.data)).toEqual(["maxSteps", "maxSteps"]);
    const solver = picard({ tol: 1e-9, step: 0.5 });
    const damped = await solve(device, flip, constantData(0), constantData(1), { solver });
    expect(damped.y.data[0]).toBeCloseTo(0.5, 12);
  });

  it("names the worst sequence, its status and the remedy when it throws", async () => {
    const run = solve(device, scalarMap(-1), constantData(0), constantData(1), { tol: 1e-9, maxSteps: 7 });
    await expect(run).rejects.toThrow(
      /sequence 0 of 2: maxSteps after 7 iterations with residual .* tol is 1e-9, maxSteps 7/,
    );
  });

  it("freezes a sequence that turns NaN, stops waiting for it and solves the others", async () => {
    // Rows whose theta is negative meet log of a negative number.
    const problem: Problem<Tracer> = { step: (y, theta) => y.mul(0.5).add(theta.log()) };
    const theta = constantData(2);
    theta.data.fill(-1, 0, theta.data.length / 2);
    const { y, stats } = await solve(device, problem, constantData(0), theta, { tol: 1e-10, throw: false });
    expect(status(stats.status.data)).toEqual(["nonFinite", "converged"]);
    expect(y.data.at(-1)).toBeCloseTo(2 * Math.log(2), 8);
    expect(stats.iterations.data[0]).toBeLessThan(60);
  });

  it("counts the iterations of each sequence, not those of the batch", async () => {
    const problem: Problem<Tracer> = { step: (y, theta) => y.mul(theta).add(1) };
    const theta = constantData(0.9);
    theta.data.fill(3, 0, theta.data.length / 2);
    const { stats } = await solve(device, problem, constantData(0), theta, { tol: 1e-12, maxSteps: 500, throw: false });
    expect(status(stats.status.data)).toEqual(["diverged", "converged"]);
    expect(stats.iterations.data[0]).toBeLessThan(stats.iterations.data[1]! / 2);
  });

  it("refuses a step that changes the type of y, and an empty start", async () => {
    const smaller: Problem<Tracer> = { step: (y) => y.sum({ axes: 2 }) };
    await expect(solve(device, smaller, constantData(0), constantData(1))).rejects.toThrow(
      /the step turns y of type float64\[2,3,4\] into float64\[2,3\]/,
    );
    await expect(solve(device, scalarMap(0.5), constantData(0, [0, 3, 4]), constantData(1))).rejects.toThrow(
      /y0 must be \[batch, time, channel\] with at least one of each, got float64\[0,3,4\]/,
    );
  });

  it("stops on the best residual seen or on the one at hand, and returns the last iterate or the best", async () => {
    // y -> r - y^2: attracted to two points in turn, it passes close by the fixed point between them at first.
    const problem: Problem<Tracer> = { step: (y, theta) => theta.sub(y.mul(y)) };
    const fixed = (Math.sqrt(1 + 4 * 0.9) - 1) / 2;
    const start = constantData(fixed + 1e-4, [1, 1, 1]);
    const run = (rule: "best" | "current", quantileOf: number) => {
      const solver = picard({ rule, tol: 1e-6, maxSteps: 40, quantile: quantileOf });
      return solve(device, problem, start, constantData(0.9, [1, 1, 1]), { solver, throw: false });
    };
    const best = await run("best", 1);
    const current = await run("current", 1);
    expect(Math.abs(best.y.data[0]! - fixed)).toBeGreaterThan(0.01);
    expect(Math.abs(current.y.data[0]! - fixed)).toBeLessThan(2e-4);
    expect(current.stats.residual.data[0]).toBeLessThan(best.stats.residual.data[0]!);
  });

  it("waits under the current rule until the residuals at hand meet the tolerance together", async () => {
    // Residuals that rise again: a row's best is old news to the current rule.
    const problem: Problem<Tracer> = { step: (y, theta) => y.add(y.mul(theta).sin().mul(0.9)) };
    const run = (rule: "best" | "current") =>
      solve(device, problem, constantData(0.1, [1, 1, 1]), constantData(1, [1, 1, 1]), {
        solver: picard({ rule, tol: 1e-7, maxSteps: 300 }),
        throw: false,
      });
    const [best, current] = [await run("best"), await run("current")];
    expect(current.stats.iterations.data[0]).toBeGreaterThanOrEqual(best.stats.iterations.data[0]!);
    expect(status(current.stats.status.data)).toEqual(["converged"]);
    expect(current.y.data[0]).toBeCloseTo(Math.PI, 6);
  });

  it("makes one iteration with maxSteps 1", async () => {
    const { y } = await solve(device, scalarMap(0.5), constantData(0), constantData(1), { maxSteps: 1, throw: false });
    expect(y.data[0]).toBe(1);
  });

  it.each([
    [{ tol: -1 }, /tol must be at least 0, got -1/],
    [{ tol: Number.NaN }, /tol must be at least 0, got NaN/],
    [{ maxSteps: 0 }, /maxSteps must be a positive integer, got 0/],
    [{ maxSteps: 1.5 }, /maxSteps must be a positive integer, got 1.5/],
    [{ step: 0 }, /step must be in \(0, 1\], got 0/],
    [{ decay: 2 }, /decay must be in \(0, 1\], got 2/],
    [{ patience: 0 }, /patience must be at least 1, got 0/],
    [{ quantile: 1.1 }, /quantile must be in \[0, 1\], got 1.1/],
    [{ rule: "last" as never }, /picard: rule must be one of best, current, each; got last/],
    [{ rule: "each" as const, quantile: 0.9 }, /picard: quantile 0.9 is of a batch/],
    [{ trace: 3 as never }, /picard: trace must be true, false or "time", got 3/],
  ])("refuses %o", (options, message) => {
    expect(() => picard(options)).toThrow(message);
  });

  it("converges for every contraction, to a residual below the tolerance", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.double({ min: -0.9, max: 0.9, noNaN: true }),
        fc.double({ min: -100, max: 100, noNaN: true }),
        fc.constantFrom(1e-2, 1e-6, 1e-10),
        async (rate, value, tol) => {
          const options = { solver: picard({ tol, maxSteps: 1000 }) };
          const { y, stats } = await solve(device, scalarMap(rate), constantData(0), constantData(value), options);
          const error = Math.abs(y.data[0]! - value / (1 - rate));
          // |y - y*| <= |f(y) - y| / (1 - |rate|), and the residual is relative to |f(y)|.
          expect(error).toBeLessThanOrEqual(
            ((tol * 1.01) / (1 - Math.abs(rate))) * (Math.abs(value / (1 - rate)) * 2 + 1e-8),
          );
          expect(stats.residual.data[0]).toBeLessThan(tol);
        },
      ),
      { numRuns: 60 },
    );
  });
});
