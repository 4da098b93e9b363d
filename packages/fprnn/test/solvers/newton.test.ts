import { array, key, random, type Tracer } from "@banach/autograd";
import { reference } from "@banach/autograd/reference";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { newton, picard, type Problem, solve } from "../../src/index.ts";
import { distance, rnn, rnnData, type RnnTheta, slopes } from "../problems.ts";
import { solved, statuses } from "./kit.ts";

const device = await reference();
const dtype = "float64" as const;

/** A gated elementwise recurrence, y_t = z y_{t-1} + (1 - z) tanh(2 y_{t-1} + x), z = sigmoid(y_{t-1} + x). */
const elementwise: Problem<Tracer> = {
  step: (y, x) => {
    const before = y.shift(1);
    const gate = before.add(x).logistic();
    return before.mul(gate).add(gate.neg().add(1).mul(before.mul(2).add(x).tanh()));
  },
};

describe("newton", () => {
  it("solves a linear map that is diagonal in channels at once", async () => {
    const theta = { x: random.normal(key(1), [2, 5, 4], { dtype }), slope: array(Float64Array.of(0.98, 0.9, -0.8, 0)) };
    const { y, stats } = await solved(device, slopes, theta, newton({ tol: 1e-10 }));
    expect(Array.from(stats.iterations.data)).toEqual([2, 2]);
    theta.x.data.forEach((x, i) => expect(y.data[i]).toBeCloseTo(x / (1 - theta.slope.data[i % 4]!), 9));
  });

  it("solves elementwise recurrences in a number of iterations that hardly grows with time", async () => {
    const counts: number[] = [];
    for (const time of [20, 80, 320]) {
      const x = random.normal(key(2), [1, time, 3], { dtype });
      const start = array(new Float64Array(time * 3), { shape: [1, time, 3] });
      const fast = await solve(device, elementwise, start, x, { solver: newton({ tol: 1e-10 }) });
      const slow = await solve(device, elementwise, start, x, { solver: picard({ tol: 1e-13, maxSteps: 500 }) });
      expect(distance(fast.y, slow.y)).toBeLessThan(1e-8);
      counts.push(fast.stats.iterations.data[0]!);
    }
    expect(counts[2]).toBeLessThan(2.5 * counts[0]!);
  });

  it("passes corrections on further with a higher limit, where the recurrence expands", async () => {
    // y_t = tanh(1.5 y_{t-1} + x): linear near 0, with a slope above 1.
    const growing: Problem<Tracer> = { step: (y, x) => y.shift(1).mul(1.5).add(x).tanh() };
    const x = random.uniform(key(3), [1, 60, 2], { low: -1e-3, high: 1e-3, dtype });
    const start = array(new Float64Array(120), { shape: [1, 60, 2] });
    const count = async (limit: number): Promise<number> =>
      (await solve(device, growing, start, x, { solver: newton({ tol: 1e-9, limit }) })).stats.iterations.data[0]!;
    expect(await count(2)).toBeLessThan(await count(0.1));
  });

  it("reaches Picard's fixed point with dense couplings too, at a Picard's pace or better", async () => {
    await fc.assert(
      fc.asyncProperty(fc.bigInt({ min: 0n, max: 1000n }), async (seed) => {
        const theta = rnnData(seed, { recurrent: 0.9, local: 0.9 }, [2, 10, 4]);
        const tight = { tol: 1e-10, maxSteps: 1000 };
        const a = await solved<RnnTheta>(device, rnn, theta, newton(tight));
        const b = await solved<RnnTheta>(device, rnn, theta, picard({ tol: 1e-13, maxSteps: 1000 }));
        expect(distance(a.y, b.y)).toBeLessThan(1e-8);
        expect(statuses(a.stats.status.data)).toEqual(["converged", "converged"]);
        expect(Math.max(...a.stats.iterations.data)).toBeLessThan(2 * Math.max(...b.stats.iterations.data));
      }),
      { numRuns: 15 },
    );
  });

  it.each([
    [{ limit: 0 }, /newton: limit must be a positive number, got 0/],
    [{ limit: Number.NaN }, /newton: limit must be a positive number, got NaN/],
    [{ trace: 1 as never }, /newton: trace must be true, false or "time", got 1/],
  ])("refuses %o", (options, message) => {
    expect(() => newton(options)).toThrow(message);
  });
});
