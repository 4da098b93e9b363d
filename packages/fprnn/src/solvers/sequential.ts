/** The sequential solver: Gauss-Seidel in time. At each step only a fixed point in R^channel is solved; cost grows as T. */
import { full, scan, stopGradient, type Tracer, whileLoop } from "@banach/autograd";
import type { Causal, CausalProblem } from "../problem.ts";
import { detachStats, relativeResidual, statusOf } from "../stats.ts";
import { type CausalSolver, requireTolerances, type Solved, type Tolerances } from "./solver.ts";

/** How a sweep over time is differentiated. */
export interface SweepGradient {
  /** Whether the gradient flows from the hidden-dependent parameters at t to y_{t-1}. */
  readonly carry: boolean;
}

/**
 * Solves front to back. Because the map at time t depends on earlier times only through y_{t-1} and the state, its
 * parameters are computed once per step, and then y_t alone is iterated from y0_t until, per row,
 * max|y - F(y)| / (max|F(y)| + 1e-8) < tol. Finds Picard's fixed point where the map contracts, at a cost that does not
 * depend on how long Picard would take to carry information through time. Defaults: tol 0.03, maxSteps 40 (per step).
 */
export function sequential(options: Partial<Tolerances> = {}): CausalSolver {
  const tolerances = requireTolerances("sequential", options, { tol: 0.03, maxSteps: 40 });
  return {
    kind: "causal",
    name: "sequential",
    ...tolerances,
    with: (changed) => sequential({ ...tolerances, ...changed }),
    solve: (problem, y0, theta) => {
      const { y, stats } = sweepTime(problem, y0, theta, tolerances, { carry: true });
      return { y: stopGradient(y), stats };
    },
  };
}

/**
 * One sweep over time whose reverse is the gradient through time: at each step the local solve stands under stopGradient
 * and one differentiable application of the local map at its solution gives y_t.
 */
export function sweepTime<Theta, State>(
  problem: CausalProblem<Theta, State>,
  y0: Tracer,
  theta: Theta,
  tolerances: Tolerances,
  gradient: SweepGradient,
): Solved<State> {
  return problem.causal((causal) => sweepCausal(causal, y0, theta, tolerances, gradient));
}

function sweepCausal<Theta, Input, State, Context>(
  causal: Causal<Theta, Input, State, Context>,
  y0: Tracer,
  theta: Theta,
  tolerances: Tolerances,
  gradient: SweepGradient,
): Solved<State> {
  const { inputs, state, previous } = causal.prepare(theta);
  const starts = stopGradient(y0).transpose([1, 0, 2]);
  const [last, steps] = scan(
    (carry, xs) => {
      // State and Input are trees of tracers, so tracing leaves them as they are; the compiler cannot know.
      const [before, input] = [carry.state as State, xs.input as Input];
      const seen = gradient.carry ? carry.previous : stopGradient(carry.previous);
      const context = causal.at(input, before, seen, theta);
      const detached = stopGradient(context) as Context;
      const { solution, iterations } = solveLocally(causal, detached, xs.start, tolerances);
      const { y, state: after } = causal.advance(before, solution, context);
      const residual = ownResidual(causal, detached, y);
      return [
        { state: after, previous: y },
        { y, residual, iterations },
      ];
    },
    { state, previous },
    { input: inputs, start: starts },
  );
  const residual = steps.residual.max({ axes: 0 });
  return {
    y: steps.y.transpose([1, 0, 2]),
    state: last.state as State,
    stats: detachStats({
      status: statusOf(residual, tolerances.tol),
      iterations: steps.iterations.max({ axes: 0 }),
      residual,
    }),
  };
}

interface LocalSolution {
  /** [batch, channel], without gradient. */
  readonly solution: Tracer;
  /** int32[batch]. */
  readonly iterations: Tracer;
}

/** The residual [batch] of what is returned, which is one application further than where the loop stopped. */
function ownResidual<Theta, Input, State, Context>(
  causal: Causal<Theta, Input, State, Context>,
  detached: Context,
  y: Tracer,
): Tracer {
  const here = stopGradient(y);
  return stopGradient(relativeResidual(here, causal.local(here, detached)));
}

/** Iterates the map of one step, each row until it meets the tolerance; a row that turns NaN stops at once. */
function solveLocally<Theta, Input, State, Context>(
  causal: Causal<Theta, Input, State, Context>,
  detached: Context,
  start: Tracer,
  { tol, maxSteps }: Tolerances,
): LocalSolution {
  const { carry, steps } = whileLoop(
    ({ residual }: { y: Tracer; residual: Tracer }) => residual.greaterEqual(tol),
    ({ y }) => {
      const next = causal.local(y, detached);
      return { y: next, residual: relativeResidual(y, next) };
    },
    { y: start, residual: full([start.dim(0)], Infinity, start.dtype) },
    { maxSteps },
  );
  return { solution: stopGradient(carry.y), iterations: steps };
}
