/** When an iteration has run away: it is given up before it overflows. */
import type { Tracer } from "@banach/autograd";

/** A row whose change exceeds its first one by this factor has run away: no contraction grows so far before it falls. */
const RUNAWAY = 1e6;

/** The same for a map at one step of time, where nothing has to travel that could make changes grow before they fall. */
const LOCAL_RUNAWAY = 100;

/** The largest change of any entry, [batch], of iterates [batch, time, channel] or [batch, channel]. */
export function largestChange(y: Tracer, next: Tracer): Tracer {
  const axes = y.shape.slice(1).map((_, i) => i + 1);
  return next.sub(y).abs().max({ axes });
}

/** bool[batch]: whether changes [batch] have outgrown the first ones. */
export function ranAway(change: Tracer, first: Tracer): Tracer {
  return change.greater(first.add(1).mul(RUNAWAY));
}

/** As `ranAway`, of a map at one step of time. */
export function ranAwayLocally(change: Tracer, first: Tracer): Tracer {
  return change.greater(first.add(1).mul(LOCAL_RUNAWAY));
}
