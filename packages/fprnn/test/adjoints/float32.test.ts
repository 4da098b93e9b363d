/** Local backward solves in float32, at the size of a model: what rounding takes must not pass for a failure. */
import { type HostTensor, key, random, type Tracer } from "@banach/autograd";
import { wasm } from "@banach/backend-wasm";
import { afterAll, describe, expect, it } from "vitest";
import {
  ADJOINT_STATUSES,
  type AdjointStats,
  type CausalAdjoint,
  dense,
  fixedPoint,
  fpMamba,
  gmres,
  householder,
  type Mixer,
  sequential,
  throughTime,
  valueGradAndAdjoint,
} from "../../src/index.ts";

const device = await wasm({ threads: 1 });
afterAll(() => device[Symbol.asyncDispose]());

const solver = sequential({ tol: 1e-5, maxSteps: 300 });
const epsilon = 2 ** -23;

/** The gradient of half the sum of squares by the layer's input, and how the solves at all steps ended. */
async function gradientOf(mixer: Mixer, adjoint: CausalAdjoint, { width, seed }: { width: number; seed: number }) {
  const layer = fpMamba({ dModel: width, expand: 1, mixer });
  const params = layer.init(key(seed));
  const run = valueGradAndAdjoint((u: Tracer, p: Parameters<typeof layer.parts>[0]) => {
    const { problem, theta, y0, readout } = layer.parts(p, u);
    const { y } = readout(fixedPoint(problem, y0, theta, { solver, adjoint }).y);
    return y.mul(y).sum().mul(0.5);
  });
  const x = random.normal(key(seed + 100), [32, 16, width]);
  const { grad, adjoint: reports } = await device.get(await device.run(run, x, params));
  return { grad, report: reports[0]! };
}

const counts = ({ status }: AdjointStats<HostTensor>): Readonly<Record<string, number>> =>
  Object.fromEntries(
    ADJOINT_STATUSES.map((name, code) => [name, status.data.filter((found) => found === code).length] as const).filter(
      ([, count]) => count > 0,
    ),
  );

const apart = (a: HostTensor, b: HostTensor): number =>
  Math.hypot(...a.data.map((x, i) => x - b.data[i]!)) / Math.hypot(...b.data);

describe("throughTime, local implicit, in float32", () => {
  it.each([
    [1, 4],
    [1, 5],
    [2, 4],
  ] as const)("solves FP-Mamba's steps as far as rounding allows: gain %i, seed %i", async (gain, seed) => {
    const adjoint = throughTime({ local: "implicit" });
    const { report } = await gradientOf(householder({ rank: 4, gain }), adjoint, { width: 64, seed });
    expect(counts(report)).toEqual({ converged: 32 });
    const [residual, length] = [report.residual, report.gain].map(({ data }) => Math.max(...data));
    expect(residual).toBeLessThan(Math.max(1e-5, 2 * epsilon * length!));
  });

  it("takes steps enough for a mixer of full rank", async () => {
    for (const gain of [1, 2] as const) {
      const adjoint = throughTime({ local: "implicit" });
      const { report } = await gradientOf(dense({ gain }), adjoint, { width: 32, seed: 1 });
      expect(counts(report)).toEqual({ converged: 32 });
    }
  });

  it("is nearer to the gradient than one step where it is stopped early", async () => {
    const by = (adjoint: CausalAdjoint) => gradientOf(dense(), adjoint, { width: 32, seed: 1 });
    const exact = await by(throughTime({ local: "implicit" }));
    const early = await by(throughTime({ local: "implicit", solver: gmres({ maxSteps: 4 }) }));
    const one = await by(throughTime());
    expect(counts(early.report)).toEqual({ maxSteps: 32 });
    expect(apart(early.grad, exact.grad)).toBeLessThan(apart(one.grad, exact.grad) / 5);
  });
});
