/** Adjoints as values: how a gradient gets through a fixed point. */
import type { Tracer } from "@banach/autograd";
import type { CausalProblem, Problem } from "../problem.ts";
import type { CausalSolver, Solved } from "../solvers/solver.ts";

/** Works with every solver. */
export interface ParallelAdjoint {
  readonly kind: "parallel";
  readonly name: string;
  /** Wraps a solve from y0, which gives no gradient, into one that does. */
  readonly apply: <Theta>(problem: Problem<Theta>, theta: Theta, solve: () => Solved, y0: Tracer) => Solved;
}

/** Differentiates the sweep of a solver that steps through time. */
export interface CausalAdjoint {
  readonly kind: "causal";
  readonly name: string;
  readonly apply: <Theta, State>(
    problem: CausalProblem<Theta, State>,
    y0: Tracer,
    theta: Theta,
    solver: CausalSolver,
  ) => Solved<State>;
}

export type Adjoint = ParallelAdjoint | CausalAdjoint;
