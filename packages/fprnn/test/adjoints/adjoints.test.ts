import { scan, type Tracer, valueAndGrad } from "@banach/autograd";
import { describe, expect, it } from "vitest";
import { fixedPoint, picard, sequential, throughTime, truncated, unrolled } from "../../src/index.ts";
import { rnn, rnnData, type RnnTheta } from "../problems.ts";
import { device, type Gradients, gradientBy, loss, relative } from "./kit.ts";

/** Differentiates through 300 plain iterations: the exact gradient to rounding, for a contraction. */
const plainly = (theta: Gradients): Promise<Gradients> =>
  gradient((t) => scan((y: Tracer) => [rnn.step(y, t), []], t.x.zerosLike(), [], { length: 300 })[0], theta);

/** Gradient for a way of computing y from theta. */
async function gradient(compute: (theta: RnnTheta) => Tracer, theta: Gradients): Promise<Gradients> {
  const run = valueAndGrad((t: RnnTheta) => loss(compute(t)));
  return (await device.get(await device.run(run, theta))).grad;
}

describe("truncated", () => {
  it("approaches the exact gradient geometrically, at the rate of the contraction", async () => {
    const theta = rnnData(7n, { recurrent: 0.6, local: 0.6 });
    const exact = await plainly(theta);
    const errors = [];
    for (const steps of [1, 2, 4, 8, 16]) errors.push(relative(await gradientBy(truncated({ steps }), theta), exact));
    for (let i = 1; i < errors.length; i++) expect(errors[i]!).toBeLessThan(errors[i - 1]! * 0.8);
    expect(errors.at(-1)!).toBeLessThan(1e-5);
  });

  it.each([0, -1, 1.5])("refuses %s steps", (steps) => {
    expect(() => truncated({ steps })).toThrow(/steps must be a positive integer/);
  });
});

describe("unrolled", () => {
  it("is the gradient through plain iterations", async () => {
    const theta = rnnData(12n, { recurrent: 0.6, local: 0.6 });
    expect(relative(await gradientBy(unrolled({ steps: 300 }), theta), await plainly(theta))).toBeLessThan(1e-15);
  });

  it("tells how far its last sweep is from a fixed point", async () => {
    const theta = rnnData(13n, { recurrent: 0.6, local: 0.6 });
    const stats = async (steps: number) => {
      const run = (t: RnnTheta) => fixedPoint(rnn, t.x.zerosLike(), t, { adjoint: unrolled({ steps }) }).stats;
      return device.get(await device.run(run, theta));
    };
    const [few, many] = [await stats(3), await stats(100)];
    expect([few, many].map(({ status }) => Array.from(status.data))).toEqual([
      [1, 1, 1],
      [0, 0, 0],
    ]);
    expect(Array.from(few.iterations.data)).toEqual([3, 3, 3]);
    expect(Math.max(...many.residual.data)).toBeLessThan(1e-13);
  });

  it.each([{ steps: 0 }, { steps: 2.5 }, { steps: 3, tol: 0 }])("refuses %o", (options) => {
    expect(() => unrolled(options)).toThrow(
      /unrolled: (steps must be a positive integer|tol must be a positive number)/,
    );
  });
});

describe("throughTime", () => {
  it("is exact, as backpropagation through time, where the map is explicit in time", async () => {
    const theta = rnnData(8n, { recurrent: 3, local: 0 });
    // Nothing flows back through V y_t, which is zero, but V's own gradient is that of one local step.
    expect(relative(await gradientBy(throughTime(), theta), await plainly(theta))).toBeLessThan(1e-12);
  });

  it("keeps more of the exact gradient than the truncated one", async () => {
    const theta = rnnData(9n, { recurrent: 2, local: 0.3 });
    const exact = await plainly(theta);
    const inTime = relative(await gradientBy(throughTime({ local: "step" }), theta), exact);
    const cheap = relative(await gradientBy(truncated(), theta), exact);
    expect(inTime).toBeLessThan(cheap / 2);
  });

  it("cuts the hidden dependence without its carry", async () => {
    const theta = rnnData(10n, { recurrent: 2, local: 0.3 });
    const cut = await gradientBy(throughTime({ carry: false }), theta);
    expect(relative(cut, await gradientBy(truncated(), theta))).toBeLessThan(1e-11);
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
