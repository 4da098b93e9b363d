/** What a solve reports, as values: per sequence, how it ended, after how many iterations and how far from the solution. */
import { type Operand, stopGradient, type Tracer, where } from "@banach/autograd";

/**
 * How a solve ended, by index in `SolveStats.status`. `maxSteps`: stopped, by the step limit or by a rule over the
 * batch, before the residual met the tolerance. `diverged`: the iterates ran away. `nonFinite`: NaN or infinite.
 */
export const STATUSES = ["converged", "maxSteps", "diverged", "nonFinite"] as const;

export type SolveStatus = (typeof STATUSES)[number];

export interface SolveStats<T = Tracer> {
  /** int32[batch], an index into STATUSES. */
  readonly status: T;
  /** int32[batch]: evaluations of the map; for a solver that steps through time, the most at any one step. */
  readonly iterations: T;
  /** float[batch]: the residual of the iterate that is returned, the largest over time (see `relativeResidual`). */
  readonly residual: T;
  /**
   * The residual of the iterate that each iteration began with, where the solver was asked to `trace`: float[iteration,
   * batch], or float[iteration, time] with `trace: "time"`; -1 for iterations that were not made.
   */
  readonly residuals?: T;
}

/** Status codes from the residuals [batch] of what is returned; `diverged` bool[batch] marks rows that were given up. */
export function statusOf(residual: Tracer, tol: number, diverged: Operand = false): Tracer {
  const code = (status: SolveStatus): number => STATUSES.indexOf(status);
  const met = where(residual.less(tol), code("converged"), code("maxSteps"));
  const given = where(diverged, code("diverged"), met);
  return where(residual.isFinite(), given, code("nonFinite")).astype("int32");
}

/** Keeps the residual of an iterate of zeros finite. */
export const TINY = 1e-8;

/**
 * max_c |y_new - y| / (max_c |y_new| + 1e-8) over the last axis: [..., channel] -> [...]. The ratio of the authors'
 * stopping rule, taken per time step; callers take the maximum over time.
 */
export function relativeResidual(y: Tracer, next: Tracer): Tracer {
  const change = next.sub(y).abs().max({ axes: -1 });
  return change.div(next.abs().max({ axes: -1 }).add(TINY));
}

/** Stats carry no gradient. */
export function detachStats(stats: SolveStats): SolveStats {
  return stopGradient(stats);
}
