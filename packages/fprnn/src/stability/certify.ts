/** Proofs of contraction, where the mixer bounds its matrix. */
import { full, type Tracer } from "@banach/autograd";
import type { CausalProblem } from "../problem.ts";
import { overTime } from "./over-time.ts";

export interface Certificate<T = Tracer> {
  /** bool[batch]: every step's map is proved to contract. */
  readonly certified: T;
  /** An upper bound on the slope of the local map at each step, for every y_t, [batch, time]; null where none is known. */
  readonly bound: T | null;
}

/**
 * Whether the local map at each step of time contracts whatever y_t, by the bound of the problem (`Causal.bound`), along a
 * solution y [batch, time, channel]. Where it is certified, y is the only fixed point, and the iteration of each step finds
 * it from anywhere: y_0 is the only solution of the first step, and given it y_1 of the second, and so on. Bounds hold up to
 * rounding. Where a mixer has no bound, or the map has a normalisation inside, nothing is certified: that says nothing
 * about whether it contracts.
 */
export function certify<Theta>(problem: CausalProblem<Theta>, y: Tracer, theta: Theta): Certificate {
  const unknown: Tracer[] = [];
  const { bound } = overTime(problem, y, theta, (_local, here, given) => {
    if (given === null) unknown.push(here);
    return { bound: (given ?? full([], Infinity, y.dtype)).broadcastTo([here.dim(0)]) };
  });
  return { certified: bound.less(1).all({ axes: 1 }), bound: unknown.length === 0 ? bound : null };
}
