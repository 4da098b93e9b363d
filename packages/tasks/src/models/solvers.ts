/** From the configuration of a solver and an adjoint to the values. */
import { ArgumentError, type Tracer } from "@banach/autograd";
import {
  anderson,
  auto,
  chunked,
  implicit,
  neumann,
  newton,
  picard,
  sequential,
  type Solver,
  type SolverAndAdjoint,
  throughTime,
  truncated,
  unrolled,
} from "@banach/fprnn";
import { type AdjointConfig, type AdjointName, ADJOINTS, SWEPT } from "../run/adjoint-config.ts";
import type { FixedPointModel } from "../run/config.ts";
import { type SolverConfig, type SolverName, SOLVERS } from "../run/solver-config.ts";

export function buildSolver(config: SolverConfig): Solver {
  const { tol, maxSteps } = config;
  switch (config.kind) {
    case "sequential":
      return sequential({ tol, maxSteps });
    case "picard":
      return picard({ tol, maxSteps });
    case "anderson":
      return anderson({ tol, maxSteps });
    case "newton":
      return newton({ tol, maxSteps });
    case "chunked":
      return chunked({ chunk: config.chunk, tol, maxSteps });
    case "auto":
      // All backends there are compute on the CPU.
      return auto({ prefers: "sequential", tol, maxSteps });
    default:
      return config satisfies never;
  }
}

/**
 * The solver and the adjoint that a config names, in a trace also to a depth, int32[]. Throws ArgumentError, saying what
 * fits, if they do not fit each other.
 */
export function solverAndAdjoint({ solver: config, adjoint }: Chosen, depth?: Tracer): SolverAndAdjoint {
  const solver = buildSolver(config).with(depth === undefined ? {} : { depth });
  switch (adjoint.kind) {
    case "through-time":
    case "through-time-implicit":
      if (solver.kind !== "causal") throw unfit(adjoint.kind, config.kind);
      return { solver, adjoint: throughTime({ local: adjoint.kind === "through-time" ? "step" : "implicit" }) };
    case "truncated":
      return { solver, adjoint: truncated({ steps: adjoint.steps }) };
    case "neumann":
      return { solver, adjoint: neumann({ terms: adjoint.steps }) };
    case "implicit":
      return { solver, adjoint: implicit() };
    case "unrolled": {
      // It says which sequences are solved; a tolerance of 0, for as many iterations as there may be, is none to say it by.
      const tolerance = config.tol > 0 ? { tol: config.tol } : {};
      return { solver, adjoint: unrolled({ steps: adjoint.steps, ...tolerance }) };
    }
    default:
      return adjoint satisfies never;
  }
}

type Chosen = Pick<FixedPointModel, "solver" | "adjoint">;

function unfit(adjoint: AdjointName, solver: SolverName): ArgumentError {
  const swept: readonly AdjointName[] = SWEPT;
  const causal = SOLVERS.filter(stepsThroughTime);
  const parallel = ADJOINTS.filter((name) => !swept.includes(name));
  return new ArgumentError(
    `adjoint ${adjoint} differentiates a sweep through time, as of solver ${listed(causal)}; with solver ${solver} use adjoint ${listed(parallel)}`,
  );
}

function stepsThroughTime(kind: SolverName): boolean {
  const limits = { tol: 0, maxSteps: 1 };
  return buildSolver(kind === "chunked" ? { kind, chunk: 1, ...limits } : { kind, ...limits }).kind === "causal";
}

function listed(names: readonly string[]): string {
  return `${names.slice(0, -1).join(", ")} or ${names.at(-1) ?? ""}`;
}

/** The adjoint that a solver has unless another is asked for: the gradient through time where there is one. */
export function defaultAdjoint(config: SolverConfig): AdjointConfig {
  return stepsThroughTime(config.kind) ? { kind: "through-time" } : { kind: "truncated", steps: 1 };
}
