/** The sequential solver: Gauss-Seidel in time. At each step only a fixed point in R^channel is solved; cost grows as T. */
import { ArgumentError, full, scan, stopGradient, type Tracer, where } from "@banach/autograd";
import { requireOneOf } from "../options.ts";
import type { Causal, CausalProblem } from "../problem.ts";
import { detachStats, relativeResidual, statusOf, TINY } from "../stats.ts";
import { iterateTo } from "./loop.ts";
import { largestChange, ranAwayLocally, wasRunningAwayLocally } from "./runaway.ts";
import {
  type CausalSolver,
  LOCAL_METHODS,
  type LocalMethod,
  type Limits,
  requireTolerances,
  type Solved,
  type SolverOptions,
} from "./solver.ts";
import { record, requireTrace, startTrace, type TraceCarry, type TraceOption } from "./trace.ts";

/** How a sweep over time is differentiated. */
export interface SweepGradient {
  /** Whether the gradient flows from the hidden-dependent parameters at t to y_{t-1}. */
  readonly carry: boolean;
  /** How it flows through the local solves; by default not at all, but for one application of the local map. */
  readonly through?: LocalSolve;
}

/** A derivative for the solve at one step. */
export interface LocalSolve {
  /** The solution [batch, channel] of y = local(y, context), which comes without gradient, with one. */
  readonly at: <Context>(
    local: (y: Tracer, context: Context) => Tracer,
    solution: Tracer,
    context: Context,
    probe: Tracer | null,
  ) => Tracer;
  /** What `at` is given step by step, [time, ...]; null for nothing. */
  readonly probes: Tracer | null;
}

/** A solver, or what of it a sweep needs. */
export interface SweepTolerances extends Limits {
  readonly trace?: TraceOption;
  readonly local?: LocalMethod;
}

export interface SequentialOptions extends SolverOptions {
  readonly local?: LocalMethod;
}

/**
 * Solves front to back. Because the map at time t depends on earlier times only through y_{t-1} and the state, its
 * parameters are computed once per step, and then y_t alone is iterated from y0_t until, per row,
 * max|y - F(y)| / (max|F(y)| + 1e-8) < tol. A row that runs away at some step is given up there: its sequence has
 * diverged, and what it goes on with means nothing. Finds Picard's fixed point where the map contracts, at a cost that does not
 * depend on how long Picard would take to carry information through time. Defaults: tol 0.03, maxSteps 40 (per step). Throws
 * ArgumentError for options outside their domains, and when it solves with local "direct" a problem without a formula.
 */
export function sequential(options: SequentialOptions = {}): CausalSolver {
  const tolerances = requireTolerances("sequential", options, { tol: 0.03, maxSteps: 40 });
  const { trace = false, local = "iterative" } = options;
  requireTrace("sequential", trace);
  requireOneOf("sequential: local", local, LOCAL_METHODS);
  if (local === "direct" && trace !== false) {
    throw new ArgumentError('sequential: local "direct" makes no iterations that could be traced; leave trace out');
  }
  return {
    kind: "causal",
    name: local === "iterative" ? "sequential" : `sequential(${local})`,
    ...tolerances,
    trace,
    local,
    with: (changed) => sequential({ ...options, ...tolerances, ...changed }),
    solve: (problem, y0, theta) => {
      const { y, stats } = sweepTime(problem, y0, theta, { ...tolerances, trace, local }, { carry: true });
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
  tolerances: SweepTolerances,
  gradient: SweepGradient,
): Solved<State> {
  return problem.causal((causal) => sweepCausal(causal, y0, theta, tolerances, gradient));
}

function sweepCausal<Theta, Input, State, Context>(
  causal: Causal<Theta, Input, State, Context>,
  y0: Tracer,
  theta: Theta,
  tolerances: SweepTolerances,
  gradient: SweepGradient,
): Solved<State> {
  const { inputs, state, previous } = causal.prepare(theta);
  const starts = stopGradient(y0).transpose([1, 0, 2]);
  const { carry: carries, through } = gradient;
  const [last, steps] = scan(
    (carry, xs) => {
      // State and Input are trees of tracers, so tracing leaves them as they are; the compiler cannot know.
      const [before, input] = [carry.state as State, xs.input as Input];
      const seen = carries ? carry.previous : stopGradient(carry.previous);
      const context = causal.at(input, before, seen, theta);
      const detached = stopGradient(context) as Context;
      const {
        solution,
        iterations,
        trace,
        diverged = null,
      } = tolerances.local === "direct"
        ? solveDirectly(causal, detached)
        : solveLocally(causal, detached, xs.start, tolerances);
      const local: typeof causal.local = (from, at) => causal.local(from, at);
      const solved = through === undefined ? solution : through.at(local, solution, context, xs.probe);
      const { y, state: after } = causal.advance(before, solved, context);
      const residual = ownResidual(causal, detached, y);
      return [
        { state: after, previous: y },
        { y, residual, iterations, trace, diverged },
      ];
    },
    { state, previous },
    { input: inputs, start: starts, probe: through?.probes ?? null },
  );
  const residual = steps.residual.max({ axes: 0 });
  return {
    y: steps.y.transpose([1, 0, 2]),
    state: last.state as State,
    stats: detachStats({
      status: statusOf(residual, tolerances.tol, steps.diverged?.any({ axes: 0 })),
      iterations: steps.iterations.max({ axes: 0 }),
      residual,
      ...(steps.trace === null ? {} : { residuals: traceOver(steps.trace, tolerances) }),
    }),
  };
}

/** From the traces of all steps [time, batch, iteration]: the largest over time, or over the batch. */
function traceOver(traces: Tracer, { trace }: SweepTolerances): Tracer {
  return traces.max({ axes: trace === "time" ? 1 : 0 }).transpose([1, 0]);
}

interface LocalSolution {
  /** [batch, channel], without gradient. */
  readonly solution: Tracer;
  /** int32[batch]. */
  readonly iterations: Tracer;
  /** [batch, iteration], or null where none is wanted. */
  readonly trace: Tracer | null;
  /** bool[batch]: rows that were given up; absent where nothing is iterated. */
  readonly diverged?: Tracer;
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

/** The formula of one step, where the problem has one. */
function solveDirectly<Theta, Input, State, Context>(
  causal: Causal<Theta, Input, State, Context>,
  detached: Context,
): LocalSolution {
  const solution = causal.direct?.(detached) ?? null;
  if (solution === null) {
    throw new ArgumentError(
      'sequential: local "direct" needs a formula for the local equation, as FP-RNN has with householder or dplr; use local "iterative"',
    );
  }
  return { solution: stopGradient(solution), iterations: full([solution.dim(0)], 0, "int32"), trace: null };
}

/** In place of a residual, which is never negative: the row has been given up. */
const GIVEN_UP = -1;

/** In place of a change, which is never negative either. */
const NONE = -1;

/**
 * Iterates the map of one step, each row until it meets the tolerance; a row that runs away or turns NaN stops at once.
 */
function solveLocally<Theta, Input, State, Context>(
  causal: Causal<Theta, Input, State, Context>,
  detached: Context,
  start: Tracer,
  tolerances: SweepTolerances,
): LocalSolution {
  const { tol, maxSteps, trace: wanted = false } = tolerances;
  const trace = startTrace(wanted !== false, start, maxSteps);
  const { carry, steps } = iterateTo(
    ({ residual }: LocalCarry) => residual.greaterEqual(tol),
    ({ y, first: known, trace: before }) => {
      const next = causal.local(y, detached);
      const change = largestChange(y, next);
      const first = where(known.less(0), change, known);
      const residual = relativeResidual(y, next);
      const lost = ranAwayLocally(change, first);
      return {
        y: next,
        residual: where(lost, GIVEN_UP, residual),
        first,
        ...(before === undefined ? {} : { trace: record(before, residual) }),
      };
    },
    {
      y: start,
      residual: full([start.dim(0)], Infinity, start.dtype),
      first: full([start.dim(0)], NONE, start.dtype),
      ...(trace === undefined ? {} : { trace }),
    },
    { ...tolerances, rows: [start.dim(0)] },
  );
  const { y, residual, first } = carry;
  // The change of the last iteration, by the definition of the residual.
  const change = residual.mul(y.abs().max({ axes: -1 }).add(TINY));
  const diverged = residual.equal(GIVEN_UP).or(wasRunningAwayLocally({ change, first, residual, tol }));
  return { solution: stopGradient(y), iterations: steps, trace: carry.trace?.values ?? null, diverged };
}

interface LocalCarry {
  readonly y: Tracer;
  readonly residual: Tracer;
  /** The largest change of the first iteration, [batch]; NONE before it. */
  readonly first: Tracer;
  readonly trace?: TraceCarry;
}
