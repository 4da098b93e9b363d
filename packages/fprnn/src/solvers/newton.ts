/** Quasi-Newton in parallel over time, with a Jacobian that is diagonal in the channels and couples neighbouring steps. */
import { full, iota, jvp, linearRecurrence, type Tracer, where } from "@banach/autograd";
import { requirePositive } from "../options.ts";
import { type Accelerator, iterateSafeguarded } from "./safeguarded.ts";
import { type ParallelSolver, requireTolerances, type SolverOptions } from "./solver.ts";
import { requireTrace } from "./trace.ts";

export interface NewtonOptions extends SolverOptions {
  /**
   * Largest factor by which a correction at one step may be passed on to the next; default 1. Larger values follow
   * recurrences that expand for a while, and spread errors of the estimate further.
   */
  readonly limit?: number;
}

/** An estimate outside lengthens a correction more than 100 times, or shortens it more than 4 times: it is cut here. */
const LOCAL = { least: -3, most: 0.99 };

/** Least size of an entry of a probe, relative to the root mean square of the residual at its step. */
const PROBE_FLOOR = 0.5;

/** So that a probe is never 0, where the residual is. */
const TINY = 1e-30;

/**
 * Solves (I - J) delta = f(y) - y with J cut down to one number per channel for dy_t / dy_t and one for dy_t / dy_{t-1}, as
 * one diagonal linear recurrence, and steps to y + delta: the quasi-Newton iteration of DEER (Y. Lim et al., 2024; X.
 * Gonzalez et al., "Towards scalable and stable parallelization of nonlinear RNNs", 2024) and ParaRNN (F. Danieli et al.,
 * 2025), for any map. The two diagonals come from two Jacobian-vector products per iteration, one of the even steps and one
 * of the odd ones, along the residual: exact where J has no other entries, and a secant approximation elsewhere. A step
 * that makes the residual longer is taken back and Picard's made instead (see `iterateSafeguarded`).
 *
 * It pays where channels depend on themselves and steps on the one before, as in gated elementwise recurrences: there it
 * is Newton's method, and the number of iterations hardly grows with time. Layers with a dense mixer have most of their
 * Jacobian off these diagonals: iterations become somewhat fewer, but each takes two (FP-RNN) to five (FP-Mamba) times as
 * long as one of Picard's, so `anderson` is the better choice for them. Defaults: tol 0.1, maxSteps 100. Throws
 * ArgumentError for options outside their domain.
 */
export function newton(options: NewtonOptions = {}): ParallelSolver {
  const tolerances = requireTolerances("newton", options, { tol: 0.1, maxSteps: 100 });
  const { limit = 1, trace = false } = options;
  requirePositive("newton: limit", limit);
  requireTrace("newton", trace);
  return {
    kind: "parallel",
    name: "newton",
    ...tolerances,
    trace,
    with: (changed) => newton({ ...options, ...tolerances, ...changed }),
    solve: (problem, y0, theta) => {
      const accelerator = linearise((y) => problem.step(y, theta), limit);
      return iterateSafeguarded(problem, y0, theta, accelerator, { ...tolerances, damping: 1, trace });
    },
  };
}

function linearise(step: (y: Tracer) => Tracer, limit: number): Accelerator<Record<string, never>> {
  return {
    start: () => ({}),
    propose: (y, image) => {
      const residual = image.sub(y);
      const { own, before } = diagonals(step, y, residual);
      const inverse = own.maximum(LOCAL.least).minimum(LOCAL.most).neg().add(1).reciprocal();
      const passed = before.mul(inverse).maximum(-limit).minimum(limit);
      const delta = linearRecurrence(passed, residual.mul(inverse), { axis: 1 });
      return { next: y.add(delta), usable: full([y.dim(0)], true, "bool"), memory: {} };
    },
  };
}

/**
 * Estimates of dy_t / dy_t and dy_t / dy_{t-1} per channel, [batch, time, channel]. A product with a vector that is zero on
 * every other step has the one on the steps where the vector is not, and the other where it is. Along the residual, the
 * off-diagonal entries count as far as they act on it; its smallest entries are enlarged, because they divide.
 */
function diagonals(
  step: (y: Tracer) => Tracer,
  y: Tracer,
  residual: Tracer,
): { readonly own: Tracer; readonly before: Tracer } {
  const size = residual.mul(residual).mean({ axes: 2, keepDims: true }).sqrt();
  const length = residual.abs().maximum(size.mul(PROBE_FLOOR).add(TINY));
  const probe = where(residual.less(0), length.neg(), length);
  const time = iota(y.shape, 1);
  const isEven = time.equal(time.div(2).mul(2));
  const fromEven = jvp(step, y, where(isEven, probe, 0)).tangent;
  const fromOdd = jvp(step, y, where(isEven, 0, probe)).tangent;
  const earlier = probe.shift(1, { fill: 1 });
  return {
    own: where(isEven, fromEven, fromOdd).div(probe),
    before: where(time.equal(0), 0, where(isEven, fromOdd, fromEven).div(earlier)),
  };
}
