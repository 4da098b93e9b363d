/** Solvers as values: how a fixed point is found. They give no gradient; an adjoint does. */
import type { Tracer } from "@banach/autograd";
import { ArgumentError, formatType, ShapeError } from "@banach/autograd";
import type { CausalProblem, Problem } from "../problem.ts";
import type { SolveStats } from "../stats.ts";
import type { TraceOption } from "./trace.ts";

export interface Tolerances {
  /** Residual below which a sequence counts as solved; 0 makes exactly maxSteps iterations. */
  readonly tol: number;
  /** Iterations at most; for a solver that steps through time, at most so many at each step. */
  readonly maxSteps: number;
}

export interface Solved<State = never> {
  /** [batch, time, channel]. */
  readonly y: Tracer;
  readonly stats: SolveStats;
  /** The problem's state after the last step, where `y` is that of a sweep through time. */
  readonly state?: State;
}

/** Tolerances, and what a program may be told each time it runs. */
export interface Limits extends Tolerances {
  /**
   * int32[], of the trace that the solver is used in: iterations at most, where their number differs from run to run, as
   * random depth does. maxSteps bounds it. One program is compiled for all of them.
   */
  readonly depth?: Tracer;
}

/** What every solver may be asked for. */
export interface SolverOptions extends Partial<Limits> {
  /** Whether `stats.residuals` tells the residual of every iteration; default false, which costs nothing. */
  readonly trace?: TraceOption;
}

interface SolverBase<S> extends Limits {
  readonly name: string;
  readonly trace?: TraceOption;
  /** The same solver with other tolerances, or to a depth. */
  readonly with: (limits: Partial<Limits>) => S;
}

/** Needs only the map: works on all of time at once. */
export interface ParallelSolver extends SolverBase<ParallelSolver> {
  readonly kind: "parallel";
  readonly solve: <Theta>(problem: Problem<Theta>, y0: Tracer, theta: Theta) => Solved;
}

export const LOCAL_METHODS = ["iterative", "direct"] as const;

/**
 * How the equation of one step is solved. "iterative", the default, applies its map, which finds what Picard finds and tells
 * where it finds nothing. "direct" uses the formula of the problem: of FP-RNN with a mixer of low rank, by Woodbury. That is
 * exact, and gives a fixed point also where the map expands and no iteration would find it; `stats` do not tell such a one
 * from another, so watch `certify` or `localContraction`.
 */
export type LocalMethod = (typeof LOCAL_METHODS)[number];

/** Needs a causal problem: steps through time, one or several steps at once. */
export interface CausalSolver extends SolverBase<CausalSolver> {
  readonly kind: "causal";
  /** How a sweep through time solves each step; default "iterative". */
  readonly local?: LocalMethod;
  readonly solve: <Theta>(problem: CausalProblem<Theta>, y0: Tracer, theta: Theta) => Solved;
  /**
   * Where a causal adjoint starts its sweep through time, [batch, time, channel]: the solution, for a solver that does not
   * step through time as the sweep does, so that the sweep has little left to do. Absent: y0.
   */
  readonly start?: <Theta>(problem: CausalProblem<Theta>, y0: Tracer, theta: Theta) => Tracer;
}

export type Solver = ParallelSolver | CausalSolver;

/** Checks tolerances and fills in defaults. Throws ArgumentError, for a depth ShapeError, naming the solver. */
export function requireTolerances(name: string, given: Partial<Limits>, defaults: Limits): Limits {
  const { tol, maxSteps, depth } = { ...defaults, ...given };
  if (!(tol >= 0)) throw new ArgumentError(`${name}: tol must be at least 0, got ${tol}`);
  if (!Number.isSafeInteger(maxSteps) || maxSteps < 1) {
    throw new ArgumentError(`${name}: maxSteps must be a positive integer, got ${maxSteps}`);
  }
  if (depth === undefined) return { tol, maxSteps };
  // Callers in plain JavaScript may give a number.
  if ((typeof depth as string) === "number") {
    throw new ArgumentError(`${name}: depth is a tensor of a trace; for a number that is known, use maxSteps`);
  }
  if (depth.rank !== 0 || depth.dtype !== "int32") {
    throw new ShapeError(`${name}: depth must be int32[], got ${formatType(depth.type)}`);
  }
  return { tol, maxSteps, depth };
}
