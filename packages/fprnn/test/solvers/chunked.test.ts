import { reference } from "@banach/autograd/reference";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { anderson, causalProblem, chunked, picard, sequential, solve } from "../../src/index.ts";
import { distance, rnn, rnnData } from "../problems.ts";
import { solved } from "./kit.ts";

const device = await reference();
const tight = { tol: 1e-12, maxSteps: 2000 };

describe("chunked", () => {
  it("finds the fixed point of sequential for any length and chunk", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.bigInt({ min: 0n, max: 1000n }),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 10 }),
        async (seed, time, chunk) => {
          const theta = rnnData(seed, { recurrent: 0.9, local: 0.7 }, [2, time, 3]);
          const a = await solved(device, rnn, theta, chunked({ chunk, ...tight }));
          const b = await solved(device, rnn, theta, sequential(tight));
          expect(distance(a.y, b.y)).toBeLessThan(1e-10);
        },
      ),
      { numRuns: 30 },
    );
  });

  it("is Picard itself with a chunk as long as the sequence", async () => {
    const theta = rnnData(2n, { recurrent: 2, local: 0.5 }, [2, 8, 4]);
    const whole = await solved(device, rnn, theta, picard({ tol: 1e-3 }));
    for (const chunk of [8, 100]) {
      const { y, stats } = await solved(device, rnn, theta, chunked({ chunk, tol: 1e-3 }));
      expect(Array.from(y.data)).toEqual(Array.from(whole.y.data));
      expect(Array.from(stats.iterations.data)).toEqual(Array.from(whole.stats.iterations.data));
    }
  });

  it("needs no more iterations than a chunk has steps, where the map is explicit in time", async () => {
    const theta = rnnData(2n, { recurrent: 4, local: 0 }, [2, 40, 4]);
    for (const chunk of [1, 4, 7]) {
      const { stats } = await solved(device, rnn, theta, chunked({ chunk, tol: 1e-12 }));
      expect(Array.from(stats.iterations.data)).toEqual([chunk + 1, chunk + 1]);
    }
    const whole = await solved(device, rnn, theta, picard({ tol: 1e-12 }));
    expect(whole.stats.iterations.data[0]).toBeGreaterThan(30);
  });

  it("takes its tolerances from the inner solver, unless given, and is called after it", () => {
    const inner = anderson({ tol: 1e-3, maxSteps: 7 });
    const own = chunked({ chunk: 4, solver: inner });
    expect([own.name, own.tol, own.maxSteps]).toEqual(["chunked(4, anderson)", 1e-3, 7]);
    expect(chunked({ chunk: 4, solver: inner, tol: 0.5 })).toMatchObject({ tol: 0.5, maxSteps: 7 });
    expect(chunked({ chunk: 4 }).name).toBe("chunked(4)");
  });

  it("names the remedy for a problem that cannot be cut into pieces", async () => {
    const whole = rnn.causal((causal) => {
      const { pieces: _pieces, ...rest } = causal;
      return causalProblem(rnn.step, rest);
    });
    const theta = rnnData(2n, { recurrent: 1, local: 0 });
    await expect(solve(device, whole, theta.x, theta, { solver: chunked({ chunk: 2 }) })).rejects.toThrow(
      /chunked needs to know the problem on a piece of time; add pieces: \{ theta, stateAfter \}.* or use sequential\(\)/,
    );
    // @ts-expect-error a problem of which only the map is known cannot be solved front to back
    const plain = solve(device, { step: rnn.step }, theta.x, theta, { solver: chunked({ chunk: 2 }) });
    await expect(plain).rejects.toThrow(/chunked\(2\) needs a causal problem; make one with causalProblem/);
  });

  it.each([
    [{ chunk: 0 }, /chunked: chunk must be a positive integer, got 0/],
    [{ chunk: 1.5 }, /chunked: chunk must be a positive integer, got 1.5/],
    [{ chunk: 2, tol: -1 }, /chunked: tol must be at least 0, got -1/],
    [
      { chunk: 2, solver: sequential() as never },
      /chunked: the solver within a piece must be a parallel one, such as picard\(\); got sequential/,
    ],
  ])("refuses %o", (options, message) => {
    expect(() => chunked(options)).toThrow(message);
  });
});
