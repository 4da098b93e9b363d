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

/** Relative residual of backward solves. */
const LINEAR = { tol: 1e-13, maxSteps: 2000 };

/** Sweeps that bring a fixture's map to its fixed point, and the terms of the series that belongs to it. */
const MANY = 400;

/** A solver that lands elsewhere is further away than this, and one that is imprecise nearer. */
const ELSEWHERE = 1e-3;

/**
 * Every way to the exact gradient, and how near the authors' gradients are to it. In float32 one of them, by a number of
 * steps that does not depend on rounding: the others' programs are made of the same kernels, and take long with noise.
 */
export async function checkExactGradients(subject: Subject): Promise<Comparison[]> {
  const { setting, fixture } = subject;
  const { exact, dtype } = setting;
  const solver = picard(exact);
  const check = (choices: readonly (readonly [string, SolverAndAdjoint])[]): Promise<Comparison[]> =>
    checkAdjoints(
      subject,
      choices.map(([what, choice]) => [what, fixture.backward_implicit, choice]),
    );
  if (dtype === "float32" || exact.tol === 0) {
    return check([["implicit", { solver, adjoint: implicit({ solver: iteration(exact) }) }]]);
  }
  const adjoint = implicit({ solver: iteration(LINEAR) });
  const parallel: readonly (readonly [string, SolverAndAdjoint])[] = [
    ["implicit", { solver, adjoint }],
    ["implicit by GMRES", { solver, adjoint: implicit({ solver: gmres({ ...LINEAR, restart: 60 }) }) }],
    ["neumann", { solver, adjoint: neumann({ terms: MANY }) }],
    ["unrolled", { adjoint: unrolled({ steps: MANY }) }],
  ];
  const front = sequential(exact);
  const sweeps: readonly (readonly [string, SolverAndAdjoint])[] = [
    ["implicit, sequential", { solver: front, adjoint }],
    ["through time implicit", { solver: front, adjoint: throughTime({ local: "implicit", solver: gmres(LINEAR) }) }],
  ];
  const reaches = await reachesSolution(subject);
  return [
    ...(await check(reaches ? [...parallel, ...sweeps] : parallel)),
    ...(await checkCosines(subject, { solver, adjoint })),
  ];
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
