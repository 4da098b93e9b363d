/** The gradient through time: solve front to back, differentiate back to front. */
import { sweepTime } from "../solvers/sequential.ts";
import type { CausalAdjoint } from "./adjoint.ts";

export interface ThroughTimeOptions {
  /** How the local solve at each step is differentiated: "step" applies the local map once at its detached solution. */
  readonly local?: "step";
  /**
   * Whether the gradient also flows through the hidden dependence y_{t-1} -> Q_t; default true. Without it, this is the
   * authors' truncated({ steps: 1 }).
   */
  readonly carry?: boolean;
}

/**
 * The VJP of the sequential sweep: a reverse scan, exact in time, at the cost of one sweep. Needs the `sequential` solver.
 */
export function throughTime(options: ThroughTimeOptions = {}): CausalAdjoint {
  const { carry = true } = options;
  return {
    kind: "causal",
    name: carry ? "throughTime" : "throughTime(carry: false)",
    apply: (problem, y0, theta, solver) => sweepTime(problem, y0, theta, solver, { carry }),
  };
}
