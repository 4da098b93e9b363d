/** The options of `banach train` that say how the gradient gets through fixed points, and the adjoint that they make. */
import { type Command, Option } from "commander";
import { UsageError } from "../errors.ts";
import { defaultAdjoint } from "../models/solvers.ts";
import { type AdjointConfig, type AdjointName, ADJOINTS, type SolverConfig, STEPPED } from "../run/index.ts";
import { positiveInteger } from "./options.ts";

/** As commander hands them over. */
export interface AdjointFlags {
  readonly adjoint?: AdjointName;
  readonly adjointSteps?: number;
}

/** What they are called in a command's options. */
export const ADJOINT_OPTIONS: readonly string[] = ["adjoint", "adjointSteps"];

export function addAdjointOptions(command: Command): Command {
  return command
    .addOption(new Option("--adjoint <name>", "gradient of fixed points (default: the solver's)").choices(ADJOINTS))
    .option(
      "--adjoint-steps <n>",
      "truncated: differentiable steps, neumann: terms (default: 1); unrolled: sweeps",
      positiveInteger,
    );
}

/** The adjoint that options describe. Throws UsageError for a number of steps that it does not make, or that is missing. */
export function adjointOf({ adjoint, adjointSteps: steps }: AdjointFlags, solver: SolverConfig): AdjointConfig {
  const kind = adjoint ?? defaultAdjoint(solver).kind;
  switch (kind) {
    case "truncated":
    case "neumann":
      return { kind, steps: steps ?? 1 };
    case "unrolled":
      // It runs no solver, so that there is no number that would do for most models.
      if (steps === undefined) throw new UsageError("--adjoint unrolled needs --adjoint-steps: its number of sweeps");
      return { kind, steps };
    case "through-time":
    case "through-time-implicit":
    case "implicit":
      if (steps === undefined) return { kind };
      throw new UsageError(
        `--adjoint-steps ${steps} is for --adjoint ${STEPPED.join(", ")}; ${kind} makes no fixed number of steps`,
      );
    default:
      return kind satisfies never;
  }
}
