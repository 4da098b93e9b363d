/** When an iteration has run away: it is given up before it overflows. */
import type { Tracer } from "@banach/autograd";

/** A row whose change exceeds its first one by this factor has run away: no contraction grows so far before it falls. */
const RUNAWAY = 1e6;

/** The same for a map at one step of time, where nothing has to travel that could make changes grow before they fall. */
const LOCAL_RUNAWAY = 100;

/**
 * A row that has used up its iterations and changes by this many times as much as at first has only not got far yet: a
 * slope of 1.05 grows sevenfold in 40 iterations. A normalised map that goes round in circles does not grow so much.
 */
const LOCAL_GROWTH = 4;

/** The same for maps on whole sequences, whose changes may grow while they travel. */
const GROWTH = 100;

/** Relative; what changes less does not run away. */
const LEAST_RESIDUAL = 1e-3;

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

/** Where rows have stopped: their last change and the first, and the residual, [batch] each. */
export interface Stopped {
  readonly change: Tracer;
  readonly first: Tracer;
  readonly residual: Tracer;
  readonly tol: number;
}

/** bool[batch]: whether rows stopped unsolved and on their way to run away. */
export function wasRunningAway(stopped: Stopped): Tracer {
  return unsolved(stopped).and(stopped.change.greater(stopped.first.mul(GROWTH)));
}

/** As `wasRunningAway`, of a map at one step of time. */
export function wasRunningAwayLocally(stopped: Stopped): Tracer {
  return unsolved(stopped).and(stopped.change.greater(stopped.first.mul(LOCAL_GROWTH)));
}

/** With tol 0 nothing is solved, and changes that are rounding may well grow. */
function unsolved({ residual, tol }: Stopped): Tracer {
  return residual.greaterEqual(Math.max(tol, LEAST_RESIDUAL));
}
