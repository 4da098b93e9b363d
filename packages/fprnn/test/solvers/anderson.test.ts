import { array, key, random } from "@banach/autograd";
import { reference } from "@banach/autograd/reference";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { anderson, picard } from "../../src/index.ts";
import { distance, rnn, rnnData, slopes } from "../problems.ts";
import { solved, statuses } from "./kit.ts";

const device = await reference();
const dtype = "float64" as const;

describe("anderson", () => {
  it("solves slow linear maps of few slopes in a few iterations, where Picard needs hundreds", async () => {
    const theta = {
      x: random.normal(key(1), [2, 4, 4], { dtype }),
      slope: array(Float64Array.of(0.99, 0.9, -0.8, 0.1)),
    };
    const fast = await solved(device, slopes, theta, anderson({ tol: 1e-10, maxSteps: 3000 }));
    const slow = await solved(device, slopes, theta, picard({ tol: 1e-10, maxSteps: 3000 }));
    // Four slopes: the fifth difference of residuals depends on the others.
    expect(Math.max(...fast.stats.iterations.data)).toBeLessThanOrEqual(7);
    expect(Math.min(...slow.stats.iterations.data)).toBeGreaterThan(1000);
    theta.x.data.forEach((x, i) => expect(fast.y.data[i]).toBeCloseTo(x / (1 - theta.slope.data[i % 4]!), 7));
  });

  it("needs fewer iterations than Picard on slowly contracting maps, for any memory", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.bigInt({ min: 0n, max: 1000n }),
        fc.integer({ min: 1, max: 5 }),
        fc.constantFrom(0.9, 0.97, 0.99),
        async (seed, memory, rate) => {
          const x = random.normal(random.key(seed), [1, 3, 4], { dtype });
          const theta = { x, slope: array(Float64Array.of(rate, 0.7 * rate, 0.4 * rate, -0.5 * rate)) };
          const fast = await solved(device, slopes, theta, anderson({ tol: 1e-9, maxSteps: 5000, memory }));
          const slow = await solved(device, slopes, theta, picard({ tol: 1e-9, maxSteps: 5000 }));
          expect(statuses(fast.stats.status.data)).toEqual(["converged"]);
          expect(fast.stats.iterations.data[0]).toBeLessThan(slow.stats.iterations.data[0]!);
        },
      ),
      { numRuns: 10 },
    );
  });

  it("lets each sequence stop by itself", async () => {
    const theta = rnnData(3n, { recurrent: 0.9, local: 0.9 }, [2, 6, 4]);
    theta.x.data.fill(0, 6 * 4);
    const { stats } = await solved(device, rnn, theta, anderson({ tol: 1e-10 }));
    // From zeros, zero input is solved.
    expect(stats.iterations.data[1]).toBe(1);
    expect(stats.iterations.data[0]).toBeGreaterThan(5);
  });

  it("is Picard as long as there is nothing to combine", async () => {
    const theta = rnnData(2n, { recurrent: 0.9, local: 0.9 });
    const two = { tol: 0, maxSteps: 2 };
    const [a, b] = [await solved(device, rnn, theta, anderson(two)), await solved(device, rnn, theta, picard(two))];
    expect(Array.from(a.y.data)).toEqual(Array.from(b.y.data));
  });

  it("goes back to Picard's step where information only travels, and still arrives", async () => {
    // y_t depends on y_{t-1} alone, and strongly: Picard needs a step of time per iteration, and no more.
    const theta = rnnData(2n, { recurrent: 4, local: 0 }, [2, 30, 4]);
    const fast = await solved(device, rnn, theta, anderson({ tol: 1e-9, maxSteps: 500 }));
    const slow = await solved(device, rnn, theta, picard({ tol: 1e-12, maxSteps: 500 }));
    expect(statuses(fast.stats.status.data)).toEqual(["converged", "converged"]);
    expect(distance(fast.y, slow.y)).toBeLessThan(1e-7);
    expect(Math.max(...fast.stats.iterations.data)).toBeLessThan(4 * Math.max(...slow.stats.iterations.data));
  });

  it("never lets the residual of accepted steps grow, nor returns another than the best iterate's", async () => {
    const theta = rnnData(7n, { recurrent: 6, local: 6 }, [2, 12, 4]);
    const { stats } = await solved(device, rnn, theta, anderson({ tol: 1e-12, maxSteps: 60, trace: true }));
    const trace = stats.residuals!.toNested() as number[][];
    for (const b of [0, 1]) {
      const best = Math.min(...trace.map((row) => row[b]!).filter((r) => r >= 0));
      // It is the step from the best iterate, so its own residual is a map further.
      expect(stats.residual.data[b]).toBeLessThan(Math.max(1e-12, 10 * best));
    }
  });

  it.each([
    [{ memory: 0 }, /anderson: memory must be a positive integer, got 0/],
    [{ memory: 2.5 }, /anderson: memory must be a positive integer, got 2.5/],
    [{ damping: 0 }, /anderson: damping must be in \(0, 1\], got 0/],
    [{ damping: 1.5 }, /anderson: damping must be in \(0, 1\], got 1.5/],
    [{ regularisation: -1 }, /anderson: regularisation must be at least 0, got -1; leave it out for the default/],
    [{ regularisation: Number.NaN }, /regularisation must be at least 0, got NaN/],
    [{ trace: "no" as never }, /anderson: trace must be true, false or "time", got no/],
  ])("refuses %o", (options, message) => {
    expect(() => anderson(options)).toThrow(message);
  });
});
