/** From the configuration of a solver and an adjoint to the values. */
import { ArgumentError } from "@banach/autograd";
import {
  anderson,
  auto,
  chunked,
  newton,
  picard,
  sequential,
  type Solver,
  type SolverAndAdjoint,
  throughTime,
  truncated,
} from "@banach/fprnn";
import type { FixedPointModel } from "../run/config.ts";
import type { SolverConfig } from "../run/solver-config.ts";

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

/** The solver and the adjoint that a config names. Throws ArgumentError if they do not fit each other. */
export function solverAndAdjoint({ solver: config, adjoint }: FixedPointModel): SolverAndAdjoint {
  const solver = buildSolver(config);
  if (adjoint.kind === "truncated") return { solver, adjoint: truncated({ steps: 1 }) };
  if (solver.kind === "causal") return { solver, adjoint: throughTime({ local: "step" }) };
  throw new ArgumentError(
    `adjoint through-time differentiates a sweep through time, as of solver sequential; with solver ${config.kind} use adjoint truncated`,
  );
}

/** The adjoint that a solver has unless another is asked for: the gradient through time where there is one. */
export function defaultAdjoint(config: SolverConfig): FixedPointModel["adjoint"] {
  return { kind: buildSolver(config).kind === "causal" ? "through-time" : "truncated" };
}
