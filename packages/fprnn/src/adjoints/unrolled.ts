/** The unrolled adjoint: plain sweeps of the map, each differentiated. For audits: nothing here is implicit. */
import { full, scan, stopGradient, type Tracer } from "@banach/autograd";
import { requirePositive, requirePositiveInteger } from "../options.ts";
import { detachStats, relativeResidual, statusOf } from "../stats.ts";
import type { ParallelAdjoint } from "./adjoint.ts";

export interface UnrolledOptions {
  /** Sweeps from y0. */
  readonly steps: number;
  /** Residual below which a sequence counts as solved in `stats`; default 1e-6. All sweeps are made in any case. */
  readonly tol?: number;
}

/**
 * y after `steps` plain sweeps from y0, differentiated through all of them: exact where they converge, at any order of
 * differentiation. No solver is run. Memory grows with the steps. Throws ArgumentError unless `steps` is a positive integer
 * and `tol` positive.
 */
export function unrolled({ steps, tol = 1e-6 }: UnrolledOptions): ParallelAdjoint {
  requirePositiveInteger("unrolled: steps", steps);
  requirePositive("unrolled: tol", tol);
  return {
    kind: "parallel",
    name: `unrolled(${steps})`,
    apply: (problem, theta, _solve, y0) => {
      const [y] = scan((before: Tracer) => [problem.step(before, theta), []], stopGradient(y0), [], { length: steps });
      const here = stopGradient(y);
      const residual = relativeResidual(here, problem.step(here, theta)).max({ axes: 1 });
      const iterations = full([y0.dim(0)], steps, "int32");
      return { y, stats: detachStats({ status: statusOf(residual, tol), iterations, residual }) };
    },
  };
}
