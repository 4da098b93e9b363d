/** What a backward solve reports, and what becomes of the gradient where it failed. */
import { type Tracer, where } from "@banach/autograd";
import { type LinearSolver, perRow, rowNorm, trailing } from "../linear/linear-solver.ts";

/**
 * How a backward solve ended, by index in `AdjointStats.status`, the worst last. `converged`: the residual met the tolerance,
 * or what rounding leaves of a solution as long as that. `maxSteps`: it did not. `nearSingular`: the solution is longer than
 * the cotangent by more than `maxGain`. `diverged`: it solves the equation worse than 0 does. `nonFinite`: NaN or infinite.
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
 * gradient. "step": what one differentiable step would give; but a w that was only stopped early (`maxSteps`) stays where it
 * solves the equation better than that does. "keep": the w that was reached.
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
  /** The residual of any other w, as it stands in the stats. */
  readonly residualOf: (w: Tracer) => Tracer;
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
  const residualOfScaled = (v: Tracer): Tracer => rowNorm(b.sub(product(v))).div(divisor);
  const residual = residualOfScaled(x);
  const gain = rowNorm(x).div(divisor);
  const within = attainable(solver.tol, gain);
  const stats = { status: statusOf({ residual, gain }, within, maxGain), iterations, residual, gain };
  return { w: x.mul(scale), stats, residualOf: (w) => residualOfScaled(w.div(scale)) };
}

/** Distance from 1 to the next number. */
const EPSILON = { float64: 2 ** -52, float32: 2 ** -23 } as const;

/**
 * The residual that rounding leaves, over epsilon and gain: to write down w moves b - A w by about |A| |w| epsilon. GMRES
 * begun anew until it gets no nearer ends at 0.4 to 1.0 in FP-Mamba, where |A| is about 1.
 */
const ROUNDING = 4;

/**
 * The residual that converged means: the tolerance, or what rounding leaves of a solution of that gain. But never more than
 * the root of epsilon: of what has lost more than half of its digits nobody should be told that it is solved.
 */
function attainable(tol: number, gain: Tracer): Tracer {
  const epsilon = gain.dtype === "float64" ? EPSILON.float64 : EPSILON.float32;
  return gain
    .mul(ROUNDING * epsilon)
    .minimum(Math.sqrt(epsilon))
    .maximum(tol);
}

function statusOf(
  { residual, gain }: Pick<AdjointStats, "residual" | "gain">,
  within: Tracer,
  maxGain: number,
): Tracer {
  const code = (status: AdjointStatus): number => ADJOINT_STATUSES.indexOf(status);
  const met = where(residual.lessEqual(within), code("converged"), code("maxSteps"));
  const bounded = where(gain.greater(maxGain), code("nearSingular"), met);
  const tame = where(residual.greater(1), code("diverged"), bounded);
  return where(residual.isFinite().and(gain.isFinite()), tame, code("nonFinite")).astype("int32");
}

/**
 * bool[row]: the solve failed; where there is another w of a known residual, a solve that was only stopped early has failed
 * if that one is as good a solution. With tol 0 exactly maxSteps steps were asked for, and reaching them is no failure.
 */
export function failed({ status, residual }: AdjointStats, tol: number, other: Tracer | number | null): Tracer {
  const early = ADJOINT_STATUSES.indexOf("maxSteps");
  const useless = status.greater(early);
  if (tol === 0) return useless;
  const stopped = status.equal(early);
  return useless.or(other === null ? stopped : stopped.and(residual.greaterEqual(other)));
}
