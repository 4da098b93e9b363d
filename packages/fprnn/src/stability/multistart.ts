/** Whether there is one fixed point or several: solves from several starts, and how far apart they end. */
import { type HostTensor, key as keyOf, random, scan, stopGradient, type Tracer, where } from "@banach/autograd";
import { fixedPoint, type FixedPointOptions, type CausalFixedPointOptions } from "../fixed-point.ts";
import { requirePositive, requirePositiveInteger } from "../options.ts";
import type { CausalProblem, Problem } from "../problem.ts";
import { picard, type Solved, type Solver } from "../solvers/index.ts";
import { STATUSES } from "../stats.ts";

export interface MultistartOptions<S extends Solver = Solver> {
  /**
   * Default picard({ tol: 1e-5, maxSteps: 2000 }), more closely than a layer solves: what is told of several fixed points is
   * told by solutions that are apart by more than what is left to each.
   */
  readonly solver?: S;
  /** Random starts besides y0; default 4. */
  readonly starts?: number;
  /** Standard deviation of their entries; default 1. */
  readonly scale?: number;
  /** Where they come from; default key(0). */
  readonly key?: Tracer | HostTensor;
}

/** Per sequence, all [batch]. */
export interface Multistart<T = Tracer> {
  /**
   * The largest difference of any entry of any two solutions, over the largest entry of any. Where all find the same one,
   * about the tolerance times 1 / (1 - r), r the rate at which the map contracts. Only solves that converged count; 0 where
   * fewer than two did.
   */
  readonly spread: T;
  /** int32: how many of the starts + 1 solves converged. */
  readonly converged: T;
}

/** Slopes of up to 0.99 leave a spread of a thousandth, and float32 can still meet it. */
const TIGHT = { tol: 1e-5, maxSteps: 2000 } as const;

/**
 * Solves from y0 and from normal starts around it. A small spread is no proof that there is one fixed point. A large one is
 * no proof that there are several either: a map of slope 0.99 moves a point by a hundredth of the way that is left, so that
 * points far from its one solution meet the tolerance. What tells the two apart is a tighter tolerance, at which the spread
 * of a slow map becomes smaller in proportion, and that of several fixed points stays. Throws ArgumentError for options
 * outside their domains.
 */
export function multistart<Theta>(
  problem: CausalProblem<Theta>,
  y0: Tracer,
  theta: Theta,
  options?: MultistartOptions,
): Multistart;
export function multistart<Theta>(
  problem: Problem<Theta>,
  y0: Tracer,
  theta: Theta,
  options?: MultistartOptions<NonNullable<FixedPointOptions["solver"]>>,
): Multistart;
export function multistart<Theta>(
  problem: Problem<Theta>,
  y0: Tracer,
  theta: Theta,
  options: MultistartOptions = {},
): Multistart {
  const { solver = picard(TIGHT), starts = 4, scale = 1, key = keyOf(0) } = options;
  requirePositiveInteger("multistart: starts", starts);
  requirePositive("multistart: scale", scale);
  const dtype = y0.dtype === "float64" ? "float64" : "float32";
  const noise = random.normal(key as Tracer, [starts, ...y0.shape], { stddev: scale, dtype }).astype(y0.dtype);
  // fixedPoint refuses a solver that needs more of a problem than there is.
  const solveFrom = fixedPoint as (p: Problem<Theta>, y: Tracer, t: Theta, o: CausalFixedPointOptions) => Solved;
  const end = (from: Tracer): Ends => {
    const { y, stats } = solveFrom(problem, from, stopGradient(theta) as Theta, { solver });
    const met = stats.status.equal(STATUSES.indexOf("converged"));
    const among = met.reshape([-1, 1, 1]);
    return { high: where(among, y, -Infinity), low: where(among, y, Infinity), converged: met.astype("int32") };
  };
  const [ends] = scan((so, noisy: Tracer) => [join(so, end(y0.add(noisy))), []], end(y0), noise);
  const { high, low, converged } = stopGradient<Ends>(ends);
  const size = high
    .abs()
    .maximum(low.abs())
    .max({ axes: [1, 2] });
  const apart = high.sub(low).max({ axes: [1, 2] });
  return { spread: where(converged.greater(1), apart.div(size.add(1e-8)), 0), converged };
}

/** The largest and the smallest value of each entry so far, and how many solves they are of. */
interface Ends {
  readonly high: Tracer;
  readonly low: Tracer;
  readonly converged: Tracer;
}

function join(a: Ends, b: Ends): Ends {
  return { high: a.high.maximum(b.high), low: a.low.minimum(b.low), converged: a.converged.add(b.converged) };
}
