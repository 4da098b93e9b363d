/** What a backward solve reports, and what becomes of the gradient where it failed. */
import { type Tracer, where } from "@banach/autograd";
import { type LinearSolver, perRow, rowNorm, trailing } from "../linear/linear-solver.ts";

/**
 * How a backward solve ended, by index in `AdjointStats.status`, the worst last. `maxSteps`: before the residual met the
 * tolerance. `nearSingular`: the solution is longer than the cotangent by more than `maxGain`. `diverged`: it solves the
 * equation worse than 0 does. `nonFinite`: NaN or infinite.
 */
export const ADJOINT_STATUSES = ["converged", "maxSteps", "nearSingular", "diverged", "nonFinite"] as const;

export type AdjointStatus = (typeof ADJOINT_STATUSES)[number];

/** Of an adjoint that solves at each step of time: the worst of all steps. */
export interface AdjointStats<T = Tracer> {
  /** int32[batch], an index into ADJOINT_STATUSES. */
  readonly status: T;
  /** int32[batch]: vector-Jacobian products. */
  readonly iterations: T;
  /** float[batch]: |(I - J^T) w - g| / |g|, computed anew from the w that is returned. */
  readonly residual: T;
  /** float[batch]: |w| / |g|, a lower bound on the norm of (I - J)^-T and so on the inverse of the least singular value. */
  readonly gain: T;
}

/**
 * What takes the place of a row's w when its backward solve did not converge. "nan": NaN, which no optimiser takes for a
 * gradient. "step": what one differentiable step would give. "keep": the w that was reached.
 */
export type Unsolved = "nan" | "step" | "keep";

export const UNSOLVED: readonly Unsolved[] = ["nan", "step", "keep"];

export interface AdjointSolve {
  readonly solver: LinearSolver;
  /** The gain |w| / |g| from which on I - J counts as singular. */
  readonly maxGain: number;
}

/** A solution w [row, ...] of (I - J^T) w = g, and what there is to say about it, one per row. */
export interface AdjointSolved {
  readonly w: Tracer;
  readonly stats: AdjointStats;
}

/** Solves (I - J^T) w = g [row, ...] for a pullback v -> J^T v. The rows are scaled, so that no norm underflows. */
export function solveAdjoint(pullback: (v: Tracer) => Tracer, g: Tracer, options: AdjointSolve): AdjointSolved {
  const { solver, maxGain } = options;
  const product = (v: Tracer): Tracer => v.sub(pullback(v));
  const largest = g.abs().max({ axes: trailing(g) });
  const scale = perRow(where(largest.greater(0), largest, 1), g);
  const b = g.div(scale);
  const { x, iterations } = solver.solve(product, b);
  const size = rowNorm(b);
  // A row of zeros has the solution 0 and the gain 0.
  const divisor = where(size.greater(0), size, 1);
  const residual = rowNorm(b.sub(product(x))).div(divisor);
  const gain = rowNorm(x).div(divisor);
  const stats = { status: statusOf(residual, gain, solver.tol, maxGain), iterations, residual, gain };
  return { w: x.mul(scale), stats };
}

function statusOf(residual: Tracer, gain: Tracer, tol: number, maxGain: number): Tracer {
  const code = (status: AdjointStatus): number => ADJOINT_STATUSES.indexOf(status);
  const met = where(residual.lessEqual(tol), code("converged"), code("maxSteps"));
  const bounded = where(gain.greater(maxGain), code("nearSingular"), met);
  const tame = where(residual.greater(1), code("diverged"), bounded);
  return where(residual.isFinite().and(gain.isFinite()), tame, code("nonFinite")).astype("int32");
}

/** bool[row]: with tol 0 exactly maxSteps steps were asked for, and reaching them is no failure. */
export function failed(status: Tracer, tol: number): Tracer {
  return tol === 0
    ? status.greater(ADJOINT_STATUSES.indexOf("maxSteps"))
    : status.greater(ADJOINT_STATUSES.indexOf("converged"));
}
