/** Anderson acceleration of Picard's iteration, one small least-squares problem per sequence and iteration. */
import { ArgumentError, concatenate, full, type Tracer, where, zeros } from "@banach/autograd";
import { requirePositiveInteger } from "../options.ts";
import { solveLeastSquares } from "./least-squares.ts";
import { type Accelerator, iterateSafeguarded } from "./safeguarded.ts";
import { type ParallelSolver, requireTolerances, type SolverOptions } from "./solver.ts";
import { requireTrace } from "./trace.ts";

export interface AndersonOptions extends SolverOptions {
  /** Differences of iterates that are remembered per sequence; default 5. Memory grows as 2 * memory iterates. */
  readonly memory?: number;
  /**
   * Penalty on the coefficients, relative to the squared length of each difference of residuals; default 10 times the
   * machine epsilon of y. Larger values step more carefully.
   */
  readonly regularisation?: number;
  /** Weight of the new residual in a step, in (0, 1]; default 1. */
  readonly damping?: number;
}

/** Relative distance of neighbouring numbers near 1. */
const EPSILON = { float32: 2 ** -23, float64: 2 ** -52 };

/** Leaves [batch, ...]; n = time * channel. */
interface Memory {
  /** Differences of residuals and of images, the newest first, [batch, memory, n]; rows of zeros where there are none. */
  readonly residuals: Tracer;
  readonly images: Tracer;
  /** f(y) - y and f(y) of the iterate before, [batch, n], and whether there was one, bool[batch]. */
  readonly residual: Tracer;
  readonly image: Tracer;
  readonly exists: Tracer;
}

/**
 * Anderson acceleration, type II: y <- f(y) - sum_j g_j (f(y_j+1) - f(y_j)) with the g that minimise the length of the
 * same combination of residuals (D. G. Anderson, 1965; H. Walker and P. Ni, 2011). Each sequence has its own, and stops by
 * itself. Differences that depend on newer ones are left out of the least squares. A step that makes the residual longer
 * is taken back and Picard's made instead (see `iterateSafeguarded`).
 *
 * It pays where Picard converges slowly at a steady rate: a linear map of few slow directions is solved in about as many
 * steps. It does not where Picard is slow because information travels one step of time per iteration, as in state
 * tracking: there use `sequential` or `chunked`. Defaults: tol 0.1, maxSteps 100.
 * Throws ArgumentError for options outside their domain.
 */
export function anderson(options: AndersonOptions = {}): ParallelSolver {
  const tolerances = requireTolerances("anderson", options, { tol: 0.1, maxSteps: 100 });
  const { memory = 5, regularisation, damping = 1, trace = false } = options;
  requirePositiveInteger("anderson: memory", memory);
  if (!(damping > 0 && damping <= 1)) throw new ArgumentError(`anderson: damping must be in (0, 1], got ${damping}`);
  if (regularisation !== undefined && !(regularisation >= 0 && regularisation < Infinity)) {
    throw new ArgumentError(
      `anderson: regularisation must be at least 0, got ${regularisation}; leave it out for the default`,
    );
  }
  requireTrace("anderson", trace);
  return {
    kind: "parallel",
    name: "anderson",
    ...tolerances,
    trace,
    with: (changed) => anderson({ ...options, ...tolerances, ...changed }),
    solve: (problem, y0, theta) => {
      const accelerator = accelerate(memory, damping, regularisation);
      return iterateSafeguarded(problem, y0, theta, accelerator, { ...tolerances, damping, trace });
    },
  };
}

function accelerate(memory: number, damping: number, regularisation: number | undefined): Accelerator<Memory> {
  return {
    start: (y) => {
      const [batch, n] = [y.dim(0), y.dim(1) * y.dim(2)];
      const [none, many] = [zeros([batch, n], y.dtype), zeros([batch, memory, n], y.dtype)];
      return { residuals: many, images: many, residual: none, image: none, exists: full([batch], false, "bool") };
    },
    propose: (y, next, before) => {
      const epsilon = EPSILON[y.dtype === "float64" ? "float64" : "float32"];
      const image = next.reshape([y.dim(0), -1]);
      const residual = image.sub(y.reshape([y.dim(0), -1]));
      const residuals = push(before.residuals, residual.sub(before.residual), before.exists);
      const images = push(before.images, image.sub(before.image), before.exists);
      const pairs = [[2], [2]] as const;
      const gram = residuals.dotGeneral(residuals, { contracting: pairs, batch: [[0], [0]] });
      const rhs = residuals.dotGeneral(residual, { contracting: [[2], [1]], batch: [[0], [0]] });
      const coefficients = solveLeastSquares(
        { gram, rhs },
        { ridge: regularisation ?? 10 * epsilon, floor: 100 * epsilon },
      );
      const combine = (history: Tracer): Tracer =>
        coefficients.dotGeneral(history, { contracting: [[1], [1]], batch: [[0], [0]] });
      const moved = image.sub(combine(images));
      const mixed = damping === 1 ? moved : moved.sub(residual.sub(combine(residuals)).mul(1 - damping));
      return {
        next: mixed.reshape(y.shape),
        usable: coefficients.notEqual(0).any({ axes: 1 }),
        memory: { residuals, images, residual, image, exists: full([y.dim(0)], true, "bool") },
      };
    },
  };
}

/** History [batch, memory, n] with a difference [batch, n] before it, where there is one, and without its last. */
function push(history: Tracer, difference: Tracer, exists: Tracer): Tracer {
  const newest = where(exists.expandDims(1), difference, 0).expandDims(1);
  return history.dim(1) === 1 ? newest : concatenate([newest, history.sliceAxis(1, 0, history.dim(1) - 1)], 1);
}
