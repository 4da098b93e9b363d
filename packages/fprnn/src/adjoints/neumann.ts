/** The Neumann adjoint: the first terms of (I - J)^-T = sum_i (J^T)^i, all at the fixed point. */
import { scan, type Tracer } from "@banach/autograd";
import { requirePositiveInteger } from "../options.ts";
import type { ParallelAdjoint } from "./adjoint.ts";
import { atSolution, turned } from "./through-solution.ts";

export interface NeumannOptions {
  /** Terms of the series; default 1, the authors' gradient. */
  readonly terms?: number;
}

/**
 * The cotangent g becomes sum_{i < terms} (J^T)^i g, by a loop over one vector-Jacobian product at y*: memory and program do
 * not grow with the terms. The gradient is that of `truncated({ steps: terms })` at an exact fixed point; off it, that one
 * takes its Jacobians along further steps, and returns the last of them, where this returns f(y*). Work grows with the
 * terms. Throws ArgumentError unless `terms` is a positive integer.
 */
export function neumann({ terms = 1 }: NeumannOptions = {}): ParallelAdjoint {
  requirePositiveInteger("neumann: terms", terms);
  const series = (pullback: (v: Tracer) => Tracer, g: Tracer): Tracer =>
    terms === 1 ? g : scan((w: Tracer) => [g.add(pullback(w)), []], g, [], { length: terms - 1 })[0];
  return {
    kind: "parallel",
    name: `neumann(${terms})`,
    apply: (problem, theta, solve) => {
      const { y, stats } = solve();
      return {
        y: turned(atSolution(problem, theta, y), "next", null, (pullback, g) => ({ w: series(pullback, g) })),
        stats,
      };
    },
  };
}
