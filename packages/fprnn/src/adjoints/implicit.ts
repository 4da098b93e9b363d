/** The implicit adjoint: the exact gradient of a fixed point, by the implicit function theorem. */
import { iteration, type LinearSolver } from "../linear/index.ts";
import { requireOneOf, requirePositive } from "../options.ts";
import type { Tolerances } from "../solvers/solver.ts";
import type { ParallelAdjoint } from "./adjoint.ts";
import { probeFor } from "./report.ts";
import { UNSOLVED, type Unsolved } from "./stats.ts";
import { atSolution, implicitly, turned } from "./through-solution.ts";

/** `tol` and `maxSteps`, where given, replace the solver's. */
export interface ImplicitOptions extends Partial<Tolerances> {
  /** How (I - J^T) w = g is solved; default iteration(), which converges where Picard does. */
  readonly solver?: LinearSolver;
  /** What a sequence gets whose backward solve failed; default "nan". */
  readonly unsolved?: Unsolved;
  /**
   * |w| / |g| from which on I - J counts as singular; default 1e6, beyond which float32 says nothing. A long sequence may
   * lengthen a cotangent much by itself.
   */
  readonly maxGain?: number;
}

/**
 * The cotangent g becomes the w with (I - J^T) w = g, J at the solver's y*, and one differentiable step takes it from there.
 * Its relative error is at most about the residual, times the norm of (I - J)^-1. Memory does not depend on the steps of
 * either solve. How the backward solves ended is told by `valueGradAndAdjoint`; a sequence whose own did not converge
 * gets a gradient of NaN, unless `unsolved` says otherwise. Differentiating a second time is refused where the
 * gradient would have to flow through the loop of the solver: see `unrolled`. Throws ArgumentError for options outside
 * their domains.
 */
export function implicit(options: ImplicitOptions = {}): ParallelAdjoint {
  const { solver: given = iteration(), tol, maxSteps, unsolved = "nan", maxGain = 1e6 } = options;
  const solver = given.with({ ...(tol === undefined ? {} : { tol }), ...(maxSteps === undefined ? {} : { maxSteps }) });
  requireOneOf("implicit: unsolved", unsolved, UNSOLVED);
  requirePositive("implicit: maxGain", maxGain);
  return {
    kind: "parallel",
    name: `implicit(${solver.name})`,
    apply: (problem, theta, solve) => {
      const { y, stats } = solve();
      const probe = probeFor([y.dim(0)], y.dtype);
      const backward = implicitly({ solver, unsolved, maxGain }, probe, (g) => g);
      return { y: turned(atSolution(problem, theta, y), "next", probe, backward), stats };
    },
  };
}
