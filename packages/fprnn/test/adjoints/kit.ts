/** Gradients of small problems by any adjoint, and how far apart they are. */
import { type HostTensor, type Tracer, treeLeaves, valueAndGrad } from "@banach/autograd";
import { reference } from "@banach/autograd/reference";
import {
  type Adjoint,
  type AdjointStats,
  fixedPoint,
  picard,
  sequential,
  type SolverAndAdjoint,
  valueGradAndAdjoint,
} from "../../src/index.ts";
import { distance, rnn, type RnnTheta } from "../problems.ts";

export const device = await reference();
export type Gradients = RnnTheta<HostTensor>;

/** So fine that what comes out is the fixed point. */
export const exactSolve = { tol: 1e-13, maxSteps: 500 };

/** The adjoint with a solver that fits it. */
export function choiceFor(adjoint: Adjoint): SolverAndAdjoint {
  return adjoint.kind === "causal"
    ? { solver: sequential(exactSolve), adjoint }
    : { solver: picard(exactSolve), adjoint };
}

const solutionBy =
  (choice: SolverAndAdjoint) =>
  (t: RnnTheta): Tracer =>
    fixedPoint(rnn, t.x.zerosLike(), t, choice).y;

/** The loss is sum(sin(y)): no two entries of its gradient by y are alike. */
export const loss = (y: Tracer): Tracer => y.sin().sum();

/** Gradient of the loss of `rnn` by all of theta. */
export async function gradientBy(adjoint: Adjoint, theta: Gradients): Promise<Gradients> {
  const run = valueAndGrad((t: RnnTheta) => loss(solutionBy(choiceFor(adjoint))(t)));
  return (await device.get(await device.run(run, theta))).grad;
}

/** The same with what the backward solves report. */
export async function reportBy(
  adjoint: Adjoint,
  theta: Gradients,
): Promise<{ readonly grad: Gradients; readonly adjoint: readonly AdjointStats<HostTensor>[] }> {
  const run = valueGradAndAdjoint((t: RnnTheta) => loss(solutionBy(choiceFor(adjoint))(t)));
  return device.get(await device.run(run, theta));
}

/** Largest difference of any entry over the largest entry expected. */
export function relative(actual: Gradients, expected: Gradients): number {
  const [a, e] = [treeLeaves<HostTensor>({ ...actual }), treeLeaves<HostTensor>({ ...expected })];
  const size = Math.max(...e.flatMap(({ leaf }) => Array.from(leaf.data, Math.abs)));
  return Math.max(...a.map(({ leaf }, i) => distance(leaf, e[i]!.leaf))) / size;
}
