/** Picard iteration with the damping, patience and batch stopping rule of the authors' code (arXiv 2503.10799). */
import { ArgumentError, full, stopGradient, type Tracer, where, whileLoop, zeros } from "@banach/autograd";
import type { Problem } from "../problem.ts";
import { detachStats, relativeResidual, statusOf } from "../stats.ts";
import { quantile } from "./quantile.ts";
import { type ParallelSolver, requireTolerances, type Solved, type Tolerances } from "./solver.ts";

export interface PicardOptions extends Partial<Tolerances> {
  /** Initial weight of the new iterate, y <- step * f(y) + (1 - step) * y; default 1. */
  readonly step?: number;
  /** Factor on a row's step each time its residual has not improved for `patience` iterations; default 1. */
  readonly decay?: number;
  /** Default 15. */
  readonly patience?: number;
  /** Fraction of the batch, by quantile of the residuals, that must meet the tolerance; default 1 (all of it). */
  readonly quantile?: number;
}

/** Rows whose steps have shrunk below this cannot move any more. */
const SMALLEST_STEP = 1e-3;

/** A row whose change exceeds its first one by this factor has run away: no contraction grows so far before it falls. */
const RUNAWAY = 1e6;

interface Carry {
  readonly y: Tracer;
  /** Best residual so far, step size and patience left, each [batch]. */
  readonly best: Tracer;
  readonly step: Tracer;
  readonly patience: Tracer;
  /** Size of the first change, [batch], and the rows given up on, bool[batch]. */
  readonly first: Tracer;
  readonly failed: Tracer;
  /** int32[batch]: iterations of the row while it was not given up. */
  readonly iterations: Tracer;
}

/**
 * y <- step * f(y) + (1 - step) * y on whole sequences. All rows iterate until the `quantile` of the best residuals seen
 * is below `tol`, no row can move, or maxSteps; the last damped iterate is returned, with its own residual. A row that
 * becomes non-finite or runs away is frozen and no longer waited for. The authors train with quantile 0.9 and, for
 * FP-RNN, step 1 without decay; they evaluate with quantile 1 and 1000 steps. Defaults: tol 0.1, maxSteps 100.
 * `picard({ tol: 0, maxSteps: k })` makes exactly k plain sweeps.
 */
export function picard(options: PicardOptions = {}): ParallelSolver {
  const tolerances = requireTolerances("picard", options, { tol: 0.1, maxSteps: 100 });
  const { step = 1, decay = 1, patience = 15, quantile: q = 1 } = options;
  if (!(step > 0 && step <= 1)) throw new ArgumentError(`picard: step must be in (0, 1], got ${step}`);
  if (!(decay > 0 && decay <= 1)) throw new ArgumentError(`picard: decay must be in (0, 1], got ${decay}`);
  if (!(patience >= 1)) throw new ArgumentError(`picard: patience must be at least 1, got ${patience}`);
  if (!(q >= 0 && q <= 1)) throw new ArgumentError(`picard: quantile must be in [0, 1], got ${q}`);
  return {
    kind: "parallel",
    name: "picard",
    ...tolerances,
    with: (changed) => picard({ ...options, ...tolerances, ...changed }),
    solve: (problem, y0, theta) => iterate(problem, y0, theta, { ...tolerances, step, decay, patience, quantile: q }),
  };
}

function iterate<Theta>(problem: Problem<Theta>, y0: Tracer, theta: Theta, options: Required<PicardOptions>): Solved {
  const { tol, maxSteps } = options;
  const batch = y0.dim(0);
  const row = { shape: [batch], dtype: y0.dtype };
  const init: Carry = {
    y: y0,
    best: full(row.shape, Infinity, row.dtype),
    step: full(row.shape, options.step, row.dtype),
    patience: full(row.shape, options.patience, "int32"),
    first: zeros(row.shape, row.dtype),
    failed: full(row.shape, false, "bool"),
    iterations: full(row.shape, 0, "int32"),
  };
  const goOn = ({ best, step, failed }: Carry): Tracer =>
    quantile(where(failed, 0, best), options.quantile)
      .greaterEqual(tol)
      .and(step.max().greaterEqual(SMALLEST_STEP))
      .and(failed.all().not());
  const { carry } = whileLoop(goOn, (c: Carry) => sweep(problem, theta, options, c), init, { maxSteps });
  const y = stopGradient(carry.y);
  // The residual of what is returned, not of the iterate before it; an adjoint that steps from here shares this map.
  const residual = relativeResidual(y, problem.step(y, theta)).max({ axes: 1 });
  const status = statusOf(residual, tol, carry.failed);
  return { y, stats: detachStats({ status, iterations: carry.iterations, residual }) };
}

/** One iteration of every row that is not frozen. */
function sweep<Theta>(problem: Problem<Theta>, theta: Theta, options: Required<PicardOptions>, before: Carry): Carry {
  const { y, best, step, patience, failed } = before;
  const next = problem.step(y, theta);
  const residual = relativeResidual(y, next).max({ axes: 1 });
  const change = next
    .sub(y)
    .abs()
    .max({ axes: [1, 2] });
  const isFirst = best.equal(Infinity);
  const first = where(isFirst, change, before.first);
  const ranAway = change.greater(first.add(1).mul(RUNAWAY));
  const lost = failed.or(residual.isFinite().not()).or(ranAway);
  const weight = step.reshape([-1, 1, 1]);
  // A step of exactly 1 takes the new iterate as it is: 0 * y would turn an infinite y into NaN.
  const damped = where(weight.equal(1), next, next.mul(weight).add(y.mul(weight.neg().add(1))));
  const improved = residual.less(best);
  const left = where(improved, options.patience, patience.sub(1)).astype("int32");
  const spent = left.lessEqual(0);
  return {
    y: where(lost.reshape([-1, 1, 1]), y, damped),
    best: where(improved, residual, best),
    step: where(spent, step.mul(options.decay), step),
    patience: where(spent, left.add(options.patience), left),
    first,
    failed: lost,
    iterations: before.iterations.add(failed.not().astype("int32")),
  };
}
