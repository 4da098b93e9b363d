/** The gradient through time: solve front to back, differentiate back to front. */
import { gmres, type LinearSolver } from "../linear/index.ts";
import { requireOneOf, requirePositive } from "../options.ts";
import { type LocalSolve, sweepTime } from "../solvers/sequential.ts";
import type { CausalAdjoint } from "./adjoint.ts";
import { probeFor } from "./report.ts";
import { UNSOLVED, type Unsolved } from "./stats.ts";
import { implicitly, turned } from "./through-solution.ts";

interface StepOptions {
  /**
   * How the local solve at each step is differentiated; default "step": one differentiable application of the local map at
   * its detached solution.
   */
  readonly local?: "step";
  /**
   * Whether the gradient also flows through the hidden dependence y_{t-1} -> Q_t; default true. Without it and with local
   * "step", this is the authors' truncated({ steps: 1 }).
   */
  readonly carry?: boolean;
}

interface LocalImplicitOptions {
  /** The implicit function theorem at each step. With the carry, the gradient is exact. */
  readonly local: "implicit";
  readonly carry?: boolean;
  /**
   * How (I - J^T) h = g is solved at each step, J [channel, channel] being that of the local map; default gmres with up to 48
   * steps, which begins anew after 24. For a mixer of rank r it is done after r + 1 steps. A mixer of full rank needed up to
   * 30 in our tests, with more vectors hardly fewer.
   */
  readonly solver?: LinearSolver;
  /**
   * What a step gets whose backward solve failed; default "step", the gradient of one differentiable step there, unless the
   * solve was only stopped early and is the better of the two.
   */
  readonly unsolved?: Unsolved;
  /** |h| / |g| from which on the local I - J counts as singular; default 1000. */
  readonly maxGain?: number;
}

export type ThroughTimeOptions = StepOptions | LocalImplicitOptions;

/**
 * The VJP of the sequential sweep: a reverse scan, exact in time, at the cost of one sweep. Needs the `sequential` solver.
 *
 * With local "implicit" it is exact at each step too, to the tolerance of the local solver or, where I - J is so close to
 * singular that rounding does not allow that, to rounding. Where it is closer still, the exact gradient is nearly infinite and
 * of no use for training: such a step (gain above `maxGain`, or no solution at all) takes the gradient of one differentiable
 * step, unless `unsolved` says otherwise. A solve that was stopped early is kept, for it is nearer than that one step.
 * `valueGradAndAdjoint` reports both. Throws ArgumentError for options outside their domains.
 */
export function throughTime(options: ThroughTimeOptions = {}): CausalAdjoint {
  const { carry = true, local = "step" } = options;
  requireOneOf("throughTime: local", local, ["step", "implicit"]);
  const through = options.local === "implicit" ? localImplicit(options) : undefined;
  const named = [...(local === "step" ? [] : [`local: ${local}`]), ...(carry ? [] : ["carry: false"])].join(", ");
  return {
    kind: "causal",
    name: named === "" ? "throughTime" : `throughTime(${named})`,
    apply: (problem, y0, theta, solver) =>
      sweepTime(problem, y0, theta, solver, through === undefined ? { carry } : { carry, through: through(y0) }),
  };
}

/** Steps of the default solver: a row that is done earlier stops there, so the limit itself costs nothing. */
const STEPS = 48;

/**
 * Vectors it keeps. They are what a step costs besides the product, in memory and in time: with 48 of them a dense mixer's
 * gradient took twice as long as with 24, for one step less.
 */
const VECTORS = 24;

/** The local solve with the implicit function theorem as its derivative, for sweeps like y0 [batch, time, channel]. */
function localImplicit({
  solver: given,
  unsolved = "step",
  maxGain = 1000,
}: LocalImplicitOptions): (y0: Parameters<CausalAdjoint["apply"]>[1]) => LocalSolve {
  requireOneOf("throughTime: unsolved", unsolved, UNSOLVED);
  requirePositive("throughTime: maxGain", maxGain);
  return (y0) => {
    // More vectors than channels there are none.
    const solver = given ?? gmres({ maxSteps: STEPS, restart: Math.max(1, Math.min(VECTORS, y0.dim(2))) });
    return {
      probes: probeFor([y0.dim(1), y0.dim(0)], y0.dtype),
      // y_t = F(y*) hands on J^T g besides g; without a derivative of y* itself, one step is left.
      at: (local, solution, context, probe) => {
        const at = { map: local, solution, context, next: local(solution, context) };
        return turned(at, "solution", probe, implicitly({ solver, unsolved, maxGain }, probe, null));
      },
    };
  };
}
