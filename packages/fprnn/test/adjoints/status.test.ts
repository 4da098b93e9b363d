import { array, full, type HostTensor, scan, type Tracer, valueAndGrad } from "@banach/autograd";
import { describe, expect, it } from "vitest";
import {
  ADJOINT_STATUSES,
  type AdjointStats,
  type CausalAdjoint,
  type CausalProblem,
  causalProblem,
  fixedPoint,
  gmres,
  implicit,
  iteration,
  type LinearSolver,
  type ParallelAdjoint,
  picard,
  sequential,
  throughTime,
  type ThroughTimeOptions,
  type Unsolved,
  valueGradAndAdjoint,
} from "../../src/index.ts";
import { rnn, rnnData, type RnnTheta, scalarMap } from "../problems.ts";
import { device, gradientBy, reportBy } from "./kit.ts";

const statuses = ({ status }: AdjointStats<HostTensor>): string[] =>
  Array.from(status.data, (code) => ADJOINT_STATUSES[code]!);

const vector = (values: readonly number[], shape: readonly number[]): HostTensor =>
  array(Float64Array.from(values), { shape });

/** y = r y + x with a rate for each sequence: slope r, solution x / (1 - r), gradient 1 / (1 - r). */
const linear: CausalProblem<{ x: Tracer; rate: Tracer }> = causalProblem<
  { x: Tracer; rate: Tracer },
  Tracer,
  Tracer,
  { x: Tracer; rate: Tracer }
>((y, { x, rate }) => y.mul(rate.reshape([-1, 1, 1])).add(x), {
  prepare: ({ x, rate }) => ({ inputs: x.transpose([1, 0, 2]), state: rate, previous: x.index(1, 0) }),
  at: (x, rate) => ({ x, rate }),
  local: (y, { x, rate }) => y.mul(rate.reshape([-1, 1])).add(x),
  advance: (rate, solution, { x }) => ({ y: solution.mul(rate.reshape([-1, 1])).add(x), state: rate }),
});

/**
 * Gradient of sum(y) by x for three sequences of two steps and two channels each: a contraction, a map that is singular or
 * nearly so, and an expansion. A number per sequence, for all of its entries have the same one.
 */
async function byRow(adjoint: ParallelAdjoint | CausalAdjoint, middle = 1) {
  const inputs = vector(
    Array.from({ length: 12 }, (_, i) => i - 5),
    [3, 2, 2],
  );
  const run = valueGradAndAdjoint((x: Tracer, rate: Tracer) => {
    const choice =
      adjoint.kind === "causal"
        ? ({ solver: sequential({ tol: 1e-6, maxSteps: 30 }), adjoint } as const)
        : ({ solver: picard({ tol: 1e-6, maxSteps: 30 }), adjoint } as const);
    return fixedPoint(linear, x.zerosLike(), { x, rate }, choice).y.sum();
  });
  const { grad, adjoint: reports } = await device.get(await device.run(run, inputs, vector([0.5, middle, 3], [3])));
  return { grad: [0, 4, 8].map((i) => grad.data[i]!), report: reports[0]! };
}

/** Finds nothing but a multiple of the right side. */
const reaching = (factor: number): LinearSolver => ({
  name: "reaching",
  tol: 1e-9,
  maxSteps: 1,
  with: () => reaching(factor),
  solve: (_, b) => ({ x: b.mul(factor), iterations: full([b.dim(0)], 1, "int32") }),
});

describe("implicit", () => {
  it("tells each sequence's status, and gives NaN to those that it could not solve", async () => {
    const { grad, report } = await byRow(implicit({ tol: 1e-9 }));
    expect(statuses(report)).toEqual(["converged", "maxSteps", "diverged"]);
    expect(report.residual.data[0]).toBeLessThan(1e-9);
    expect(grad[0]).toBeCloseTo(2, 8);
    expect(grad.slice(1)).toEqual([Number.NaN, Number.NaN]);
  });

  it("solves by GMRES where the iteration runs away, but not what is singular", async () => {
    const { grad, report } = await byRow(implicit({ solver: gmres({ tol: 1e-9 }) }));
    expect(statuses(report)).toEqual(["converged", "maxSteps", "converged"]);
    expect(grad[0]).toBeCloseTo(2, 8);
    expect(grad[1]).toBeNaN();
    expect(grad[2]).toBeCloseTo(-0.5, 8);
    expect(Array.from(report.iterations.data)).toEqual([1, 1, 1]);
    expect(report.gain.data[2]).toBeCloseTo(0.5, 8);
  });

  it.each<[Unsolved, readonly number[]]>([
    ["step", [2, 1, -0.5]],
    ["keep", [2, 0, -0.5]],
  ])("gives %s where that is asked for", async (unsolved, expected) => {
    const { grad, report } = await byRow(implicit({ solver: gmres({ tol: 1e-9 }), unsolved }));
    expect(statuses(report)[1]).toBe("maxSteps");
    grad.forEach((value, i) => expect(value).toBeCloseTo(expected[i]!, 8));
  });

  it("gives the better of what was reached and of the step, where the solve stopped early", async () => {
    const { grad, report } = await byRow(implicit({ solver: reaching(0), unsolved: "step" }), 0.5);
    expect(statuses(report)).toEqual(["maxSteps", "maxSteps", "maxSteps"]);
    // With the slope 3, one step is further off than nothing.
    expect(grad).toEqual([1, 1, 0]);
    const strict = await byRow(implicit({ solver: reaching(0) }), 0.5);
    expect(strict.grad).toEqual([Number.NaN, Number.NaN, Number.NaN]);
  });

  it("says maxSteps where it stops early, and takes exactly maxSteps steps as asked for with tol 0", async () => {
    const data = rnnData(1n, { recurrent: 0.6, local: 0.4 });
    const early = await reportBy(implicit({ tol: 1e-9, maxSteps: 4 }), data);
    expect(statuses(early.adjoint[0]!)).toEqual(["maxSteps", "maxSteps", "maxSteps"]);
    expect(early.grad.x.data.every(Number.isNaN)).toBe(true);
    const exactly = await reportBy(implicit({ tol: 0, maxSteps: 4 }), data);
    expect(Array.from(exactly.adjoint[0]!.iterations.data)).toEqual([4, 4, 4]);
    expect(exactly.grad.x.data.every(Number.isFinite)).toBe(true);
  });

  it("reports nonFinite for a sequence with a NaN, and nothing of it in the others", async () => {
    const data = rnnData(2n, { recurrent: 0.5, local: 0.3 });
    const clean = await reportBy(implicit({ tol: 1e-9 }), data);
    data.x.data[0] = Number.NaN;
    const { grad, adjoint } = await reportBy(implicit({ tol: 1e-9 }), data);
    expect(statuses(adjoint[0]!)).toEqual(["nonFinite", "converged", "converged"]);
    const row = grad.x.data.length / 3;
    expect(grad.x.data.slice(0, row).every(Number.isNaN)).toBe(true);
    grad.x.data.slice(row).forEach((value, i) => expect(value).toBeCloseTo(clean.grad.x.data[row + i]!, 9));
  });

  it("solves cotangents whose squares underflow", async () => {
    const run = valueGradAndAdjoint((x: Tracer) =>
      fixedPoint(scalarMap(0.5), x.zerosLike(), x, { adjoint: implicit({ tol: 1e-4 }) })
        .y.sum()
        .mul(1e-30),
    );
    const x = array(Float32Array.from([1, 2]), { shape: [2, 1, 1] });
    const { grad, adjoint } = await device.get(await device.run(run, x));
    expect(statuses(adjoint[0]!)).toEqual(["converged", "converged"]);
    for (const value of grad.data) expect(value / 1e-30).toBeCloseTo(2, 3);
  });
});

describe("throughTime, local implicit", () => {
  const local = (options: Partial<ThroughTimeOptions> = {}): CausalAdjoint =>
    throughTime({ local: "implicit", solver: gmres({ tol: 1e-9 }), ...options });

  it("gives one differentiable step where I - J is singular, and tells it", async () => {
    const { grad, report } = await byRow(local());
    expect(statuses(report)).toEqual(["converged", "maxSteps", "converged"]);
    [2, 1, -0.5].forEach((expected, i) => expect(grad[i]).toBeCloseTo(expected, 8));
  });

  it.each([1, -1])(
    "finds a local map that is nearly singular by what it makes of a cotangent, on side %s",
    async (side) => {
      const rate = 1 - side * 1e-4;
      const { grad, report } = await byRow(local(), rate);
      expect(statuses(report)).toEqual(["converged", "nearSingular", "converged"]);
      // What J^T hands on, of the length of the cotangent, is lengthened ten thousand times.
      expect(report.gain.data[1]! / 1e4).toBeCloseTo(1, 3);
      expect(grad[1]).toBeCloseTo(1, 8);
      const trusted = await byRow(local({ maxGain: 1e5 }), rate);
      expect(statuses(trusted.report)[1]).toBe("converged");
      expect(trusted.grad[1]! / (side * 1e4)).toBeCloseTo(1, 6);
      const kept = await byRow(local({ unsolved: "keep" }), rate);
      expect(statuses(kept.report)[1]).toBe("nearSingular");
      expect(kept.grad[1]).toBeCloseTo(trusted.grad[1]!, 6);
      const refused = await byRow(local({ unsolved: "nan" }), rate);
      expect(refused.grad.map(Number.isNaN)).toEqual([false, true, false]);
    },
  );

  it("keeps what was reached where the solve stopped early, but not what is worse than one step", async () => {
    const { grad, report } = await byRow(local({ solver: reaching(1) }), -0.5);
    expect(statuses(report)).toEqual(["maxSteps", "maxSteps", "diverged"]);
    // 1 and J of the 2 and 1 / 1.5 that are exact; one step would be 1 of them.
    expect(grad).toEqual([1.5, 0.5, 1]);
    const strict = await byRow(local({ solver: reaching(1), unsolved: "nan" }), -0.5);
    expect(strict.grad).toEqual([Number.NaN, Number.NaN, Number.NaN]);
  });

  it("reports the worst of all steps, and the most iterations", async () => {
    const data = rnnData(3n, { recurrent: 1, local: 0.9 });
    const { adjoint } = await reportBy(
      throughTime({ local: "implicit", solver: gmres({ tol: 1e-12, maxSteps: 2 }) }),
      data,
    );
    expect(statuses(adjoint[0]!)).toEqual(["maxSteps", "maxSteps", "maxSteps"]);
    expect(Array.from(adjoint[0]!.iterations.data)).toEqual([2, 2, 2]);
    expect(adjoint[0]!.status.shape).toEqual([3]);
  });

  it("leaves the value of the sweep as it is", async () => {
    const data = rnnData(4n, { recurrent: 1, local: 0.5 });
    const value = async (adjoint: CausalAdjoint): Promise<HostTensor> =>
      device.get(
        await device.run(
          (t: RnnTheta) => fixedPoint(rnn, t.x.zerosLike(), t, { solver: sequential(), adjoint }).y,
          data,
        ),
      );
    expect(Array.from((await value(local())).data)).toEqual(Array.from((await value(throughTime())).data));
  });
});

describe("valueGradAndAdjoint", () => {
  const data = rnnData(5n, { recurrent: 0.5, local: 0.3 });

  it("gives the value and gradient of valueAndGrad, bit for bit", async () => {
    const adjoint = implicit({ tol: 1e-9 });
    expect(Array.from((await reportBy(adjoint, data)).grad.x.data)).toEqual(
      Array.from((await gradientBy(adjoint, data)).x.data),
    );
  });

  it("keeps the order of several solves, and says nothing of those that were not differentiated", async () => {
    const solve = (t: RnnTheta, maxSteps: number): Tracer =>
      fixedPoint(rnn, t.x.zerosLike(), t, { adjoint: implicit({ tol: 0, maxSteps }) }).y.sum();
    const run = valueGradAndAdjoint((t: RnnTheta) => ({ loss: solve(t, 3).add(solve(t, 5)), other: solve(t, 7) }));
    const { adjoint } = await device.get(await device.run(run, data));
    expect(adjoint.map(({ iterations }) => Array.from(iterations.data))).toEqual([
      [3, 3, 3],
      [5, 5, 5],
      [0, 0, 0],
    ]);
  });

  it("has nothing to tell of adjoints that do not solve", async () => {
    const run = valueGradAndAdjoint((t: RnnTheta) => fixedPoint(rnn, t.x.zerosLike(), t).y.sum());
    expect((await device.get(await device.run(run, data))).adjoint).toEqual([]);
  });

  it("adds up over a loop of the caller's, so that no failure is lost", async () => {
    const twice = (maxSteps: number) =>
      valueGradAndAdjoint((t: RnnTheta) => {
        const adjoint = implicit({ tol: 1e-9, maxSteps });
        const [sum] = scan(
          (total: Tracer) => [total.add(fixedPoint(rnn, t.x.zerosLike(), t, { adjoint }).y.sum()), []],
          t.x.sum().mul(0),
          [],
          { length: 2 },
        );
        return sum;
      });
    const good = await device.get(await device.run(twice(100), data));
    expect(statuses(good.adjoint[0]!)).toEqual(["converged", "converged", "converged"]);
    const bad = await device.get(await device.run(twice(2), data));
    expect(statuses(bad.adjoint[0]!)).not.toContain("converged");
    expect(Array.from(bad.adjoint[0]!.iterations.data)).toEqual([4, 4, 4]);
  });

  it("listens no longer than it traces", async () => {
    await expect(
      device.run(
        valueGradAndAdjoint((): Tracer => {
          throw new Error("no function");
        }),
        data.x,
      ),
    ).rejects.toThrow("no function");
    const run = valueAndGrad((t: RnnTheta) => fixedPoint(rnn, t.x.zerosLike(), t, { adjoint: implicit() }).y.sum());
    const { grad } = await device.get(await device.run(run, data));
    expect(grad.x.data.every(Number.isFinite)).toBe(true);
  });
});

describe("options", () => {
  it.each<[() => unknown, RegExp]>([
    [() => implicit({ tol: -1 }), /iteration: tol must be at least 0/],
    [() => implicit({ solver: gmres(), maxSteps: 0 }), /gmres: maxSteps must be a positive integer/],
    [() => implicit({ maxGain: 0 }), /implicit: maxGain must be a positive number/],
    [() => implicit({ unsolved: "zero" as never }), /implicit: unsolved must be one of nan, step, keep; got zero/],
    [() => throughTime({ local: "exact" as never }), /throughTime: local must be one of step, implicit; got exact/],
    [() => throughTime({ local: "implicit", maxGain: Number.NaN }), /throughTime: maxGain must be a positive number/],
    [() => throughTime({ local: "implicit", unsolved: "no" as never }), /throughTime: unsolved must be one of/],
  ])("%# are refused with the remedy", (create, message) => {
    expect(create).toThrow(message);
  });

  it("name the adjoint", () => {
    expect([
      implicit().name,
      implicit({ solver: gmres({ restart: 5 }) }).name,
      throughTime({ local: "implicit" }).name,
      throughTime({ local: "implicit", carry: false }).name,
    ]).toEqual([
      "implicit(iteration)",
      "implicit(gmres(5))",
      "throughTime(local: implicit)",
      "throughTime(local: implicit, carry: false)",
    ]);
    expect(iteration().name).toBe("iteration");
  });
});
