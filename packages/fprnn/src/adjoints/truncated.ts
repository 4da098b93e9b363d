/** The truncated adjoint: a few differentiable applications of the map, starting from the detached fixed point. */
import { ArgumentError, stopGradient } from "@banach/autograd";
import type { ParallelAdjoint } from "./adjoint.ts";

/**
 * k differentiable steps of f from the detached y*: the first k terms of the Neumann series of (I - J)^-T. Memory and
 * work do not depend on the iterations of the solver. The authors use k = 1, the default.
 * Throws ArgumentError unless steps is a positive integer.
 */
export function truncated({ steps = 1 }: { readonly steps?: number } = {}): ParallelAdjoint {
  if (!Number.isSafeInteger(steps) || steps < 1) {
    throw new ArgumentError(`truncated: steps must be a positive integer, got ${steps}`);
  }
  return {
    kind: "parallel",
    name: `truncated(${steps})`,
    apply: (problem, theta, solve) => {
      const solved = solve();
      let y = stopGradient(solved.y);
      for (let i = 0; i < steps; i++) y = problem.step(y, theta);
      return { y, stats: solved.stats };
    },
  };
}
