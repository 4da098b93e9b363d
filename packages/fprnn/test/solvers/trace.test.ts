import { makeGraph, optimize, printGraph, treeMap, type HostTensor } from "@banach/autograd";
import { reference } from "@banach/autograd/reference";
import { describe, expect, it } from "vitest";
import {
  anderson,
  auto,
  chunked,
  fixedPoint,
  newton,
  picard,
  sequential,
  type Solver,
  type SolverOptions,
  throughTime,
} from "../../src/index.ts";
import { rnn, rnnData, type RnnTheta } from "../problems.ts";
import { solved } from "./kit.ts";

const device = await reference();
const [batch, time, maxSteps] = [3, 7, 50];

const SOLVERS: readonly (readonly [string, (options: SolverOptions) => Solver])[] = [
  ["picard", picard],
  ["picard, current rule", (options) => picard({ ...options, rule: "current" })],
  ["anderson", anderson],
  ["newton", newton],
  ["sequential", sequential],
  [
    "chunked(3)",
    ({ tol, maxSteps: most, trace }) =>
      chunked({ chunk: 3, solver: picard({ tol: tol!, maxSteps: most!, trace: trace! }) }),
  ],
  ["auto", (options) => auto({ ...options, prefers: "parallel", width: 9 })],
];

describe("trace", () => {
  it.each(SOLVERS)("tells the residual of each iteration per sequence: %s", async (_, create) => {
    const theta = rnnData(1n, { recurrent: 0.8, local: 0.5 }, [batch, time, 4]);
    const options = { tol: 1e-8, maxSteps };
    const { stats } = await solved(device, rnn, theta, create({ ...options, trace: true }));
    expect(stats.residuals!.shape).toEqual([maxSteps, batch]);
    const rows = stats.residuals!.toNested() as number[][];
    for (let b = 0; b < batch; b++) {
      const made = rows.map((row) => row[b]!).filter((residual) => residual !== -1);
      expect(made).toHaveLength(stats.iterations.data[b]!);
      expect(made[0]).toBeGreaterThan(0.5);
      // It stopped here: the returned iterate is a map further.
      expect(Math.min(...made)).toBeLessThan(1e-8);
      expect(rows.slice(made.length).every((row) => row[b] === -1)).toBe(true);
    }
  });

  it.each(SOLVERS)("tells how far into time the solution has got: %s", async (name, create) => {
    const theta = rnnData(2n, { recurrent: 4, local: 0 }, [batch, time, 4]);
    const { stats } = await solved(device, rnn, theta, create({ tol: 1e-9, maxSteps, trace: "time" }));
    expect(stats.residuals!.shape).toEqual([maxSteps, time]);
    if (!name.startsWith("picard")) return;
    // Information travels one step of time per iteration.
    const rows = stats.residuals!.toNested() as number[][];
    for (let i = 1; i < time; i++) expect(rows[i]!.slice(0, i).every((residual) => residual === 0)).toBe(true);
    expect(rows[time - 1]![time - 1]).toBeGreaterThan(0);
  });

  it.each(SOLVERS)("costs nothing where it is not wanted: %s", async (_, create) => {
    const theta = rnnData(1n, { recurrent: 0.8, local: 0.5 }, [batch, time, 4]);
    const { stats } = await solved(device, rnn, theta, create({ tol: 1e-8, maxSteps, trace: false }));
    expect("residuals" in stats).toBe(false);
    const graph = (options: SolverOptions): string => {
      const run = (t: RnnTheta) => fixedPoint(rnn, t.x.zerosLike(), t, { solver: create(options) });
      return printGraph(optimize(makeGraph(run, theta)));
    };
    const shape = `[${batch},${maxSteps}]`;
    expect(graph({ tol: 1e-8, maxSteps, trace: false })).not.toContain(shape);
    expect(graph({ tol: 1e-8, maxSteps, trace: true })).toContain(shape);
  });

  it("stops with a sequence that is given up", async () => {
    const theta = rnnData(1n, { recurrent: 0.8, local: 0.5 }, [batch, time, 4]);
    theta.x.data[0] = Number.NaN;
    for (const create of [picard, anderson, newton]) {
      const { stats } = await solved(device, rnn, theta, create({ tol: 1e-8, maxSteps, trace: true }));
      const rows = stats.residuals!.toNested() as number[][];
      expect(rows.map((row) => row[0]).slice(0, 2)).toEqual([Number.NaN, -1]);
      expect(rows[2]![1]).toBeGreaterThan(0);
    }
  });

  it("comes with the sweep that an adjoint differentiates, and survives other tolerances", async () => {
    const theta = rnnData(1n, { recurrent: 0.8, local: 0.5 }, [batch, time, 4]);
    const run = (t: RnnTheta) => {
      const { stats } = fixedPoint(rnn, t.x.zerosLike(), t, {
        solver: sequential({ trace: true }).with({ maxSteps: 9 }),
        adjoint: throughTime(),
      });
      return { ...stats, residuals: stats.residuals! };
    };
    const stats = await device.get(
      await device.run(
        run,
        treeMap((x: HostTensor) => x, theta),
      ),
    );
    expect(stats.residuals.shape).toEqual([9, batch]);
  });
});
