/** Gradients of fixtures of layers: by any solver and adjoint, and the exact ones. */
import { type HostTensor, type Tracer, treeLeaves, valueAndGrad } from "@banach/autograd";
import {
  gmres,
  gradientBias,
  implicit,
  iteration,
  neumann,
  picard,
  sequential,
  type SolverAndAdjoint,
  throughTime,
  truncated,
  unrolled,
} from "../../src/index.ts";
import { compare, compareAll, type Comparison, toHost } from "./fixture.ts";
import type { Backward, Params, Subject } from "./layer.ts";

/** What a comparison is called, the gradient that is expected, and what has to give it. */
type Case = readonly [string, Backward, SolverAndAdjoint];

export async function checkAdjoints(subject: Subject, cases: readonly Case[]): Promise<Comparison[]> {
  const { setting, fixture, layer, params, input } = subject;
  const { device, dtype } = setting;
  const cotangent = toHost(fixture.cotangent, dtype);
  const comparisons: Comparison[] = [];
  for (const [what, expected, choice] of cases) {
    const lossAndGrad = valueAndGrad(({ input: x, ...p }: Params<Tracer>, g: Tracer) =>
      layer(choice).apply(p, x!).y.mul(g).sum(),
    );
    const { value, grad } = await device.get(await device.run(lossAndGrad, { ...params, input }, cotangent));
    comparisons.push(
      compare(`${what} loss`, value, expected.loss),
      ...compareAll(`${what} gradient`, treeLeaves<HostTensor>(grad), expected.grads),
    );
  }
  return comparisons;
}

/** How near the residuals of float64 come to 0; in float32 the number of steps decides. */
const LINEAR = { float64: { tol: 1e-13, maxSteps: 2000 }, float32: { tol: 0, maxSteps: 100 } } as const;

/** Sweeps that bring a fixture's map to its fixed point, and the terms of the series that belongs to it. */
const MANY = 400;

/** A solver that lands elsewhere is further away than this, and one that is imprecise nearer. */
const ELSEWHERE = 1e-3;

/** Every way to the exact gradient, and how near the authors' gradients are to it. */
export async function checkExactGradients(subject: Subject): Promise<Comparison[]> {
  const { setting, fixture } = subject;
  const { exact, dtype } = setting;
  const linear = LINEAR[dtype];
  const solver = picard(exact);
  const adjoint = implicit({ solver: iteration(linear) });
  const parallel: readonly (readonly [string, SolverAndAdjoint])[] = [
    ["implicit", { solver, adjoint }],
    ["implicit by GMRES", { solver, adjoint: implicit({ solver: gmres({ ...linear, restart: 60 }) }) }],
    ["neumann", { solver, adjoint: neumann({ terms: MANY }) }],
    ["unrolled", { adjoint: unrolled({ steps: MANY }) }],
  ];
  const local = throughTime({ local: "implicit", solver: gmres(linear) });
  const front = sequential(exact);
  const sweeps: readonly (readonly [string, SolverAndAdjoint])[] = [
    ["implicit, sequential", { solver: front, adjoint }],
    ["through time implicit", { solver: front, adjoint: local }],
  ];
  const choices = (await reachesSolution(subject)) ? [...parallel, ...sweeps] : parallel;
  const cases = choices.map(([what, choice]) => [what, fixture.backward_implicit, choice] as const);
  return [...(await checkAdjoints(subject, cases)), ...(await checkCosines(subject, { solver, adjoint }))];
}

/** Whether the sequential solver finds the fixed point that Picard finds from 0, which need not be the only one. */
async function reachesSolution({ setting, fixture, layer, params, input }: Subject): Promise<boolean> {
  const run = (p: Params<Tracer>, x: Tracer): Tracer => {
    const { problem, y0, theta } = layer().parts(p, x);
    return sequential(setting.exact).solve(problem, y0, theta).y;
  };
  const y = await setting.device.get(await setting.device.run(run, params, input));
  return compare("sequential y", y, fixture.ystar).error < ELSEWHERE;
}

async function checkCosines(subject: Subject, exact: SolverAndAdjoint): Promise<Comparison[]> {
  const { setting, fixture, layer, params, input } = subject;
  const cotangent = toHost(fixture.cotangent, setting.dtype);
  const comparisons: Comparison[] = [];
  for (const [name, steps] of [
    ["backward_n1", 1],
    ["backward_n3", 3],
  ] as const) {
    const choice: SolverAndAdjoint = { solver: picard(setting.exact), adjoint: truncated({ steps }) };
    const run = (p: Params<Tracer>, x: Tracer, g: Tracer): Tracer =>
      gradientBias(layer(), p, x, { ...choice, exact, loss: (y) => y.mul(g).sum() }).overall.cosine;
    const cosine = await setting.device.get(await setting.device.run(run, params, input, cotangent));
    comparisons.push(compare(`cosine of ${name} to implicit`, cosine, fixture.cosine_to_implicit[name]));
  }
  return comparisons;
}
