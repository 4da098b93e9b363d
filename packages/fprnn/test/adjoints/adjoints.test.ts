import { type HostTensor, scan, type Tracer, treeLeaves, valueAndGrad } from "@banach/autograd";
import { reference } from "@banach/autograd/reference";
import { describe, expect, it } from "vitest";
import {
  type Adjoint,
  fixedPoint,
  picard,
  sequential,
  type SolverAndAdjoint,
  throughTime,
  truncated,
} from "../../src/index.ts";
import { distance, rnn, rnnData, type RnnTheta } from "../problems.ts";

const device = await reference();
type Gradients = RnnTheta<HostTensor>;

/** Gradient of sum(sin(y)) for a way of computing y from theta. */
async function gradient(compute: (theta: RnnTheta) => Tracer, theta: RnnTheta<HostTensor>): Promise<Gradients> {
  const run = valueAndGrad((t: RnnTheta) => compute(t).sin().sum());
  return (await device.get(await device.run(run, theta))).grad;
}

const exactSolve = { tol: 1e-13, maxSteps: 500 };

const byAdjoint = (adjoint: Adjoint, theta: RnnTheta<HostTensor>): Promise<Gradients> => {
  const choice: SolverAndAdjoint =
    adjoint.kind === "causal" ? { solver: sequential(exactSolve), adjoint } : { solver: picard(exactSolve), adjoint };
  return gradient((t) => fixedPoint(rnn, t.x.zerosLike(), t, choice).y, theta);
};

/** Differentiates through 300 plain iterations: the exact gradient to rounding, for a contraction. */
const unrolled = (theta: RnnTheta<HostTensor>): Promise<Gradients> =>
  gradient((t) => scan((y: Tracer) => [rnn.step(y, t), []], t.x.zerosLike(), [], { length: 300 })[0], theta);

function relative(actual: Gradients, expected: Gradients): number {
  const [a, e] = [treeLeaves<HostTensor>({ ...actual }), treeLeaves<HostTensor>({ ...expected })];
  const size = Math.max(...e.flatMap(({ leaf }) => Array.from(leaf.data, Math.abs)));
  return Math.max(...a.map(({ leaf }, i) => distance(leaf, e[i]!.leaf))) / size;
}

describe("truncated", () => {
  it("approaches the exact gradient geometrically, at the rate of the contraction", async () => {
    const theta = rnnData(7n, { recurrent: 0.6, local: 0.6 });
    const exact = await unrolled(theta);
    const errors = [];
    for (const steps of [1, 2, 4, 8, 16]) errors.push(relative(await byAdjoint(truncated({ steps }), theta), exact));
    for (let i = 1; i < errors.length; i++) expect(errors[i]!).toBeLessThan(errors[i - 1]! * 0.8);
    expect(errors.at(-1)!).toBeLessThan(1e-5);
  });

  it.each([0, -1, 1.5])("refuses %s steps", (steps) => {
    expect(() => truncated({ steps })).toThrow(/steps must be a positive integer/);
  });
});

describe("throughTime", () => {
  it("is exact, as backpropagation through time, where the map is explicit in time", async () => {
    const theta = rnnData(8n, { recurrent: 3, local: 0 });
    // Nothing flows back through V y_t, which is zero, but V's own gradient is that of one local step.
    expect(relative(await byAdjoint(throughTime(), theta), await unrolled(theta))).toBeLessThan(1e-12);
  });

  it("keeps more of the exact gradient than the truncated one", async () => {
    const theta = rnnData(9n, { recurrent: 2, local: 0.3 });
    const exact = await unrolled(theta);
    const inTime = relative(await byAdjoint(throughTime({ local: "step" }), theta), exact);
    const cheap = relative(await byAdjoint(truncated(), theta), exact);
    expect(inTime).toBeLessThan(cheap / 2);
  });

  it("cuts the hidden dependence without its carry", async () => {
    const theta = rnnData(10n, { recurrent: 2, local: 0.3 });
    const cut = await byAdjoint(throughTime({ carry: false }), theta);
    expect(relative(cut, await byAdjoint(truncated(), theta))).toBeLessThan(1e-11);
  });

  it("asks for a solver that steps through time, in types and at run time", async () => {
    const theta = rnnData(11n, { recurrent: 1, local: 0 });
    const wrong = gradient(
      // @ts-expect-error Picard makes no sweep through time to differentiate
      (t) => fixedPoint(rnn, t.x.zerosLike(), t, { solver: picard(), adjoint: throughTime() }).y,
      theta,
    );
    await expect(wrong).rejects.toThrow(
      /throughTime needs a solver that steps through time, such as sequential\(\); got picard/,
    );
    const plain = { step: rnn.step };
    const notCausal = gradient(
      // @ts-expect-error a problem without causal parts cannot be solved front to back
      (t) => fixedPoint(plain, t.x.zerosLike(), t, { solver: sequential() }).y,
      theta,
    );
    await expect(notCausal).rejects.toThrow(/sequential needs a causal problem; make one with causalProblem/);
  });
});
