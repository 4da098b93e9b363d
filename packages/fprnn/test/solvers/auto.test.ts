import { reference } from "@banach/autograd/reference";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { auto, fixedPoint, picard, type SolverAndAdjoint, throughTime, truncated } from "../../src/index.ts";
import { rnn, rnnData } from "../problems.ts";
import { solved } from "./kit.ts";

const device = await reference();
const parallel = auto({ prefers: "parallel", width: 256, tol: 1e-6, maxSteps: 70 });

describe("auto", () => {
  it("steps through time where work is what counts", () => {
    for (const time of [1, 16, 4096]) expect(auto().choose({ batch: 1, time }).name).toBe("sequential");
    expect(auto().name).toBe("auto(sequential)");
  });

  it("works on as many steps at once as fill a parallel machine besides the batch", () => {
    const chosen = (batch: number, time: number): string => parallel.choose({ batch, time }).name;
    expect(chosen(256, 64)).toBe("sequential");
    expect(chosen(255, 64)).toBe("chunked(2)");
    expect(chosen(16, 64)).toBe("chunked(16)");
    expect(chosen(16, 16)).toBe("picard");
    expect(chosen(1, 256)).toBe("picard");
    expect(chosen(1, 257)).toBe("chunked(256)");
    expect(parallel.name).toBe("auto(parallel)");
  });

  it("chooses by shapes alone, with its own tolerances", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 1, max: 5000 }), (batch, time) => {
        const { name, tol, maxSteps } = parallel.choose({ batch, time });
        expect({ name, tol, maxSteps }).toMatchObject({ name: parallel.choose({ batch, time }).name, tol: 1e-6 });
        expect(maxSteps).toBe(70);
      }),
    );
  });

  it("solves with what it chose", async () => {
    const theta = rnnData(3n, { recurrent: 2, local: 0.4 }, [2, 8, 3]);
    for (const width of [1, 8, 1000]) {
      const solver = auto({ prefers: "parallel", width, tol: 1e-9, trace: true });
      const chosen = solver.choose({ batch: 2, time: 8 });
      const [a, b] = [await solved(device, rnn, theta, solver), await solved(device, rnn, theta, chosen)];
      expect(Array.from(a.y.data)).toEqual(Array.from(b.y.data));
      expect(a.stats.residuals!.toNested()).toEqual(b.stats.residuals!.toNested());
    }
  });

  it("stands with every adjoint, and needs a causal problem", async () => {
    const choices: readonly SolverAndAdjoint[] = [
      { solver: auto(), adjoint: throughTime() },
      { solver: auto({ prefers: "parallel" }), adjoint: throughTime() },
      { solver: auto(), adjoint: truncated() },
      // @ts-expect-error Picard makes no sweep through time, alone or chosen by hand
      { solver: picard(), adjoint: throughTime() },
    ];
    expect(choices).toHaveLength(4);
    const theta = rnnData(1n, { recurrent: 1, local: 0 });
    const run = device.run(
      // @ts-expect-error a problem of which only the map is known cannot be solved front to back
      (t: typeof theta) => fixedPoint({ step: rnn.step }, t.x as never, t as never, { solver: auto() }).y,
      theta,
    );
    await expect(run).rejects.toThrow(/auto\(sequential\) needs a causal problem/);
  });

  it.each([
    [{ prefers: "gpu" as never }, /auto: prefers must be one of sequential, parallel; got gpu/],
    [{ width: 0 }, /auto: width must be a positive integer, got 0/],
    [{ tol: -1 }, /auto: tol must be at least 0, got -1/],
    [{ trace: "yes" as never }, /auto: trace must be true, false or "time", got yes/],
  ])("refuses %o", (options, message) => {
    expect(() => auto(options)).toThrow(message);
  });
});
