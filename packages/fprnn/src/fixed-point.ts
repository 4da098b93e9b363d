/** fixedPoint: a problem, a solver and an adjoint make a differentiable solution. */
import {
  ArgumentError,
  type Concrete,
  type Device,
  formatType,
  type HostTensor,
  NotConvergedError,
  ShapeError,
  type Tracer,
} from "@banach/autograd";
import type { CausalAdjoint, ParallelAdjoint } from "./adjoints/index.ts";
import { throughTime, truncated } from "./adjoints/index.ts";
import type { CausalProblem, Problem } from "./problem.ts";
import {
  type CausalSolver,
  picard,
  type ParallelSolver,
  type Solved,
  type Solver,
  type Tolerances,
} from "./solvers/index.ts";
import { STATUSES, type SolveStats, type SolveStatus } from "./stats.ts";

/** Options for a problem of which only the map is known. */
export interface FixedPointOptions extends Partial<Tolerances> {
  /** Default picard(). `tol` and `maxSteps`, where given, replace the solver's. */
  readonly solver?: ParallelSolver;
  /** Default truncated({ steps: 1 }). */
  readonly adjoint?: ParallelAdjoint;
}

/**
 * What may stand together for a causal problem: every solver goes with the adjoints that need only the map; those that
 * differentiate a sweep through time need a solver that makes one. By default picard(), and the adjoint that suits the
 * solver: throughTime() for one that steps through time, else truncated().
 */
export type SolverAndAdjoint =
  | { readonly solver?: Solver; readonly adjoint?: ParallelAdjoint }
  | { readonly solver: CausalSolver; readonly adjoint: CausalAdjoint };

/** Options for a causal problem: every solver and adjoint is open to it. `tol` and `maxSteps` replace the solver's. */
export type CausalFixedPointOptions = Partial<Tolerances> & SolverAndAdjoint;

/** The pair with its defaults. Throws ArgumentError if the types were circumvented and the two do not fit. */
export function solverAndAdjoint(options: SolverAndAdjoint): Required<SolverAndAdjoint> {
  const { solver = picard() } = options;
  const { adjoint = solver.kind === "causal" ? throughTime() : truncated() } = options;
  if (adjoint.kind === "parallel") return { solver, adjoint };
  if (solver.kind === "causal") return { solver, adjoint };
  throw new ArgumentError(
    `${adjoint.name} needs a solver that steps through time, such as sequential(); got ${solver.name}`,
  );
}

type AnyProblem<Theta, State = unknown> = Problem<Theta> | CausalProblem<Theta, State>;

/**
 * Solves y = problem.step(y, theta) from y0 [batch, time, channel], inside a traced function. Gradients flow to what
 * `theta` is made of, by the adjoint; none flows to y0. The value is that of the adjoint: truncated({ steps: k }) applies
 * the map k more times to the solver's iterate, which is what `stats` describe; throughTime also gives the state after the
 * last step. Non-convergence is reported in `stats`, per sequence, and never thrown here: see `solve`. Throws ArgumentError
 * if the adjoint needs a solver that steps through time.
 *
 * Every solver starts at y0, so a solution of a problem close by, such as the same one at other parameters or to another
 * tolerance, is a warm start; the solution itself takes one iteration. A layer's `parts` give its problem and theta, and
 * zeros for y0: give fixedPoint the y of the time before instead.
 */
export function fixedPoint<Theta>(
  problem: Problem<Theta>,
  y0: Tracer,
  theta: Theta,
  options?: FixedPointOptions,
): Solved;
export function fixedPoint<Theta, State>(
  problem: CausalProblem<Theta, State>,
  y0: Tracer,
  theta: Theta,
  options?: CausalFixedPointOptions,
): Solved<State>;
export function fixedPoint<Theta, State>(
  given: AnyProblem<Theta, State>,
  y0: Tracer,
  theta: Theta,
  options: CausalFixedPointOptions = {},
): Solved<State> {
  const { adjoint } = solverAndAdjoint(options);
  const solver = solverOf(options);
  requireStart(y0);
  const problem = checked<AnyProblem<Theta, State>, Theta>(given);
  if (adjoint.kind === "causal" && solver.kind === "causal") {
    const causal = requireCausal(problem, options.adjoint === undefined ? solver.name : adjoint.name);
    return adjoint.apply(causal, solver.start?.(causal, y0, theta) ?? y0, theta, solver);
  }
  return (adjoint as ParallelAdjoint).apply(problem, theta, () => iterate(problem, y0, theta, solver), y0);
}

interface SolverOptions extends Partial<Tolerances> {
  readonly solver?: Solver;
}

/** The solver with the tolerances that the options give. */
function solverOf({ solver = picard(), tol, maxSteps }: SolverOptions): Solver {
  return solver.with({ ...(tol === undefined ? {} : { tol }), ...(maxSteps === undefined ? {} : { maxSteps }) });
}

/** The problem with a check of every application of its map: y must keep its type, or solvers would compute nonsense. */
function checked<P extends AnyProblem<Theta>, Theta>(problem: P): P {
  const step = (y: Tracer, theta: Theta): Tracer => {
    const next = problem.step(y, theta);
    if (formatType(next.type) !== formatType(y.type)) {
      throw new ShapeError(
        `fixedPoint: the step turns y of type ${formatType(y.type)} into ${formatType(next.type)}; a fixed point needs a map of y to its own type`,
      );
    }
    return next;
  };
  return { ...problem, step };
}

/** Throws ShapeError unless y0 is [batch, time, channel] and not empty. */
function requireStart(y0: Tracer): void {
  if (y0.rank === 3 && !y0.shape.includes(0)) return;
  throw new ShapeError(
    `fixedPoint: y0 must be [batch, time, channel] with at least one of each, got ${formatType(y0.type)}`,
  );
}

/** What the solver returns, without an adjoint. */
function iterate<Theta>(problem: AnyProblem<Theta>, y0: Tracer, theta: Theta, solver: Solver): Solved {
  return solver.kind === "causal"
    ? solver.solve(requireCausal(problem, solver.name), y0, theta)
    : solver.solve(problem, y0, theta);
}

function requireCausal<Theta, State>(problem: AnyProblem<Theta, State>, who: string): CausalProblem<Theta, State> {
  if ("causal" in problem) return problem;
  throw new ArgumentError(
    `${who} needs a causal problem; make one with causalProblem(step, { prepare, at, local, advance })`,
  );
}

export interface SolveOptions<S extends Solver> extends Partial<Tolerances> {
  /** Default picard(). */
  readonly solver?: S;
  /** Whether an unsolved sequence throws; default true. */
  readonly throw?: boolean;
}

export interface Solution {
  /** [batch, time, channel]. */
  readonly y: HostTensor;
  readonly stats: SolveStats<HostTensor>;
}

/**
 * Solves at once, on a device, from host or device data, and returns the solver's iterate as it is. Throws
 * NotConvergedError, naming the first unsolved sequence, its status and residual, unless every sequence met the tolerance;
 * `throw: false` returns whatever was reached. With tol 0 exactly maxSteps iterations were asked for, and only a failed
 * (diverged or non-finite) sequence throws.
 */
export async function solve<Theta>(
  device: Device,
  problem: Problem<Theta>,
  y0: Concrete<Tracer>,
  theta: Concrete<Theta>,
  options?: SolveOptions<ParallelSolver>,
): Promise<Solution>;
export async function solve<Theta>(
  device: Device,
  problem: CausalProblem<Theta>,
  y0: Concrete<Tracer>,
  theta: Concrete<Theta>,
  options?: SolveOptions<Solver>,
): Promise<Solution>;
export async function solve<Theta>(
  device: Device,
  problem: AnyProblem<Theta>,
  y0: Concrete<Tracer>,
  theta: Concrete<Theta>,
  options: SolveOptions<Solver> = {},
): Promise<Solution> {
  const solver = solverOf(options);
  const run = (start: Tracer, parameters: Theta): Solved => {
    requireStart(start);
    return iterate(checked<AnyProblem<Theta>, Theta>(problem), start, parameters, solver);
  };
  // Concrete maps a tuple entry by entry; the compiler does not see that for a tuple with an open Theta.
  const resident = await device.run<[Tracer, Theta], Solved>(run, ...([y0, theta] as Concrete<[Tracer, Theta]>));
  const solution: Solution = await device.get(resident);
  device.dispose(resident);
  if (options.throw !== false) requireConverged(solution.stats, solver);
  return solution;
}

const REMEDIES: Readonly<Record<Exclude<SolveStatus, "converged">, string>> = {
  maxSteps: "Raise maxSteps or tol",
  diverged: "Use a map that contracts, such as a mixer of gain 1, or damp the step",
  nonFinite: "Look for NaN or infinity in theta and y0, or scale the map down",
};

function requireConverged(stats: SolveStats<HostTensor>, { tol, maxSteps }: Tolerances): void {
  stats.status.data.forEach((code, sequence) => {
    const status = STATUSES[code] ?? "nonFinite";
    if (status === "converged" || (status === "maxSteps" && tol === 0)) return;
    throw new NotConvergedError(
      `sequence ${sequence} of ${stats.status.data.length}: ${status} after ${stats.iterations.data[sequence] ?? 0} iterations with residual ${stats.residual.data[sequence] ?? Number.NaN}; tol is ${tol}, maxSteps ${maxSteps}. ${REMEDIES[status]}, or pass throw: false`,
    );
  });
}
