/** The iteration x <- x + (b - A x): for A = I - J the fixed-point iteration x <- J x + b, the Neumann series of b. */
import { full, where, whileLoop } from "@banach/autograd";
import { requireTolerances, type Tolerances } from "../solvers/solver.ts";
import { type LinearSolver, perRow, rowNorm } from "./linear-solver.ts";

/**
 * What the residual may grow by before it falls, as it does where information travels through time first. Beyond that,
 * rounding has eaten what was to come.
 */
const RUNAWAY = { float64: 1e16, float32: 1e8 } as const;

/**
 * Converges where the spectral radius of I - A is below 1, at that rate: for an adjoint, where Picard's iteration of the
 * map does. Needs three vectors, whatever the number of steps. Defaults: tol 1e-5, maxSteps 100.
 */
export function iteration(options: Partial<Tolerances> = {}): LinearSolver {
  const tolerances = requireTolerances("iteration", options, { tol: 1e-5, maxSteps: 100 });
  const { tol, maxSteps } = tolerances;
  return {
    name: "iteration",
    ...tolerances,
    with: (changed) => iteration({ ...tolerances, ...changed }),
    solve: (product, b) => {
      const size = rowNorm(b);
      const scale = where(size.greater(0), size, 1);
      const limit = b.dtype === "float64" ? RUNAWAY.float64 : RUNAWAY.float32;
      const { carry, steps } = whileLoop(
        ({ residual }) => residual.greaterEqual(tol).and(residual.less(limit)),
        ({ x, r }) => {
          const next = x.add(r);
          const rest = b.sub(product(next));
          return { x: next, r: rest, residual: rowNorm(rest).div(scale) };
        },
        // A row of zeros is solved, unless a fixed number of steps is asked for.
        { x: b.zerosLike(), r: b, residual: size.div(scale) },
        { maxSteps },
      );
      const broken = full([b.dim(0)], Number.NaN, b.dtype);
      // A row that begins with a NaN makes no step; its 0 must not pass for a solution.
      const x = where(perRow(carry.residual.isFinite(), b), carry.x, perRow(broken, b));
      return { x, iterations: steps };
    },
  };
}
