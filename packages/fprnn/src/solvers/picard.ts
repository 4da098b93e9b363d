/** Picard iteration with the damping, patience and batch stopping rule of the authors' code (arXiv 2503.10799). */
import { ArgumentError, full, stopGradient, type Tracer, where, zeros } from "@banach/autograd";
import { requireOneOf } from "../options.ts";
import type { Problem } from "../problem.ts";
import { detachStats, relativeResidual, statusOf } from "../stats.ts";
import { iterateTo } from "./loop.ts";
import { quantile } from "./quantile.ts";
import { largestChange, ranAway, wasRunningAway } from "./runaway.ts";
import { type Limits, type ParallelSolver, requireTolerances, type Solved, type SolverOptions } from "./solver.ts";
import { finishTrace, NOT_MADE, record, requireTrace, startTrace, type TraceCarry } from "./trace.ts";

export interface PicardOptions extends SolverOptions {
  /** Initial weight of the new iterate, y <- step * f(y) + (1 - step) * y; default 1. */
  readonly step?: number;
  /** Factor on a row's step each time its residual has not improved for `patience` iterations; default 1. */
  readonly decay?: number;
  /** Default 15. */
  readonly patience?: number;
  /** Fraction of the batch, by quantile of the residuals, that must meet the tolerance; default 1 (all of it). */
  readonly quantile?: number;
  /**
   * Which residuals must meet the tolerance. "best", the default and the authors' rule: each sequence's smallest so far;
   * the last damped iterate is returned, though its own may have grown again. "current": those of the iterates at hand;
   * each sequence returns its best iterate if that met the tolerance, which the step from it could miss, else the step.
   * "each": as "current", but a sequence stops as soon as its own residual meets the tolerance, and waits for no other; on
   * a GPU this is one kernel, however many iterations there are.
   */
  readonly rule?: "best" | "current" | "each";
}

type Rules = Required<Omit<PicardOptions, keyof Limits>> & Limits;

/** Rows whose steps have shrunk below this cannot move any more. */
const SMALLEST_STEP = 1e-3;

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
  /** Under the rules "current" and "each": the residual at hand [batch], and what is returned. */
  readonly current?: { readonly residual: Tracer; readonly kept: Tracer };
  readonly trace?: TraceCarry;
}

/**
 * y <- step * f(y) + (1 - step) * y on whole sequences. All rows iterate until the `quantile` of the residuals that `rule`
 * looks at is below `tol`, no row can move, or maxSteps; under the rule "each" every row by itself. The residual in `stats` is that of what is returned. A row that
 * becomes non-finite or runs away is frozen and no longer waited for. The authors train with quantile 0.9 and, for
 * FP-RNN, step 1 without decay; they evaluate with quantile 1 and 1000 steps. Defaults: tol 0.1, maxSteps 100.
 * `picard({ tol: 0, maxSteps: k })` makes exactly k plain sweeps.
 */
export function picard(options: PicardOptions = {}): ParallelSolver {
  const tolerances = requireTolerances("picard", options, { tol: 0.1, maxSteps: 100 });
  const { step = 1, decay = 1, patience = 15, quantile: q = 1, rule = "best", trace = false } = options;
  if (!(step > 0 && step <= 1)) throw new ArgumentError(`picard: step must be in (0, 1], got ${step}`);
  if (!(decay > 0 && decay <= 1)) throw new ArgumentError(`picard: decay must be in (0, 1], got ${decay}`);
  if (!(patience >= 1)) throw new ArgumentError(`picard: patience must be at least 1, got ${patience}`);
  if (!(q >= 0 && q <= 1)) throw new ArgumentError(`picard: quantile must be in [0, 1], got ${q}`);
  requireOneOf("picard: rule", rule, ["best", "current", "each"]);
  if (rule === "each" && q !== 1) {
    throw new ArgumentError(`picard: quantile ${q} is of a batch, and with rule "each" every sequence stops by itself`);
  }
  requireTrace("picard", trace);
  const rules: Rules = { ...tolerances, step, decay, patience, quantile: q, rule, trace };
  return {
    kind: "parallel",
    name: "picard",
    ...tolerances,
    trace,
    with: (changed) => picard({ ...options, ...tolerances, ...changed }),
    solve: (problem, y0, theta) => iterate(problem, y0, theta, rules),
  };
}

function iterate<Theta>(problem: Problem<Theta>, y0: Tracer, theta: Theta, options: Rules): Solved {
  const { tol, maxSteps } = options;
  const batch = y0.dim(0);
  const row = { shape: [batch], dtype: y0.dtype };
  const largest = full(row.shape, Infinity, row.dtype);
  const trace = startTrace(options.trace, y0, maxSteps);
  const init: Carry = {
    y: y0,
    best: largest,
    step: full(row.shape, options.step, row.dtype),
    patience: full(row.shape, options.patience, "int32"),
    first: zeros(row.shape, row.dtype),
    failed: full(row.shape, false, "bool"),
    iterations: full(row.shape, 0, "int32"),
    ...(options.rule === "best" ? {} : { current: { residual: largest, kept: y0 } }),
    ...(trace === undefined ? {} : { trace }),
  };
  const isByRow = options.rule === "each";
  const goOn = ({ best, current, step, failed }: Carry): Tracer => {
    const residual = where(failed, 0, current?.residual ?? best);
    if (isByRow) return residual.greaterEqual(tol).and(step.greaterEqual(SMALLEST_STEP));
    return quantile(residual, options.quantile)
      .greaterEqual(tol)
      .and(step.max().greaterEqual(SMALLEST_STEP))
      .and(failed.all().not());
  };
  const limits = { ...options, rows: isByRow ? row.shape : [] };
  const { carry } = iterateTo(goOn, (c: Carry) => sweep(problem, theta, options, c), init, limits);
  const y = stopGradient(carry.current?.kept ?? carry.y);
  // The residual of what is returned, not of the iterate before it; an adjoint that steps from here shares this map.
  const next = problem.step(y, theta);
  const residual = relativeResidual(y, next).max({ axes: 1 });
  const lost = wasRunningAway({ change: largestChange(y, next), first: carry.first, residual, tol });
  const status = statusOf(residual, tol, carry.failed.or(lost));
  const residuals = carry.trace === undefined ? {} : { residuals: finishTrace(carry.trace) };
  return { y, stats: detachStats({ status, iterations: carry.iterations, residual, ...residuals }) };
}

/** One iteration of every row that is not frozen. */
function sweep<Theta>(problem: Problem<Theta>, theta: Theta, options: Rules, before: Carry): Carry {
  const { y, best, step, patience, failed } = before;
  const next = problem.step(y, theta);
  const residuals = relativeResidual(y, next);
  const residual = residuals.max({ axes: 1 });
  const change = largestChange(y, next);
  const isFirst = best.equal(Infinity);
  const first = where(isFirst, change, before.first);
  const lost = failed.or(residual.isFinite().not()).or(ranAway(change, first));
  const weight = step.reshape([-1, 1, 1]);
  // A step of exactly 1 takes the new iterate as it is: 0 * y would turn an infinite y into NaN.
  const damped = where(weight.equal(1), next, next.mul(weight).add(y.mul(weight.neg().add(1))));
  const improved = residual.less(best);
  const left = where(improved, options.patience, patience.sub(1)).astype("int32");
  const spent = left.lessEqual(0);
  const keeps = improved.and(lost.not()).reshape([-1, 1, 1]);
  const returned = where(residual.less(options.tol).reshape([-1, 1, 1]), y, damped);
  return {
    y: where(lost.reshape([-1, 1, 1]), y, damped),
    best: where(improved, residual, best),
    step: where(spent, step.mul(options.decay), step),
    patience: where(spent, left.add(options.patience), left),
    first,
    failed: lost,
    iterations: before.iterations.add(failed.not().astype("int32")),
    ...(before.current === undefined
      ? {}
      : { current: { residual, kept: where(keeps, returned, before.current.kept) } }),
    ...(before.trace === undefined
      ? {}
      : { trace: record(before.trace, where(failed.expandDims(1), NOT_MADE, residuals)) }),
  };
}
