/** When an iteration has run away: it is given up before it overflows. */
import type { Tracer } from "@banach/autograd";

/** A row whose change exceeds its first one by this factor has run away: no contraction grows so far before it falls. */
const RUNAWAY = 1e6;

/** The largest change of any entry, [batch], of iterates [batch, time, channel]. */
export function largestChange(y: Tracer, next: Tracer): Tracer {
  return next
    .sub(y)
    .abs()
    .max({ axes: [1, 2] });
}

/** bool[batch]: whether changes [batch] have outgrown the first ones. */
export function ranAway(change: Tracer, first: Tracer): Tracer {
  return change.greater(first.add(1).mul(RUNAWAY));
}
