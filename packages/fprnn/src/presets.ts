/** The settings of the authors' scripts, as values: what the equations' presets are to layers, this is to solving. */
import { truncated } from "./adjoints/index.ts";
import type { ParallelAdjoint } from "./adjoints/index.ts";
import { requireOneOf } from "./options.ts";
import { type ParallelSolver, picard } from "./solvers/index.ts";

export type AuthorsLayer = "fp-rnn" | "fp-mamba" | "fp-mamba-2";

export interface AuthorsOptions {
  readonly layer: AuthorsLayer;
  /** In evaluation every sequence has to meet the tolerance and 1000 iterations are allowed; default "training". */
  readonly phase?: "training" | "evaluation";
  /** Iterations at most in training, which their scripts take from the command line; default 100. */
  readonly maxSteps?: number;
}

/** Of training: how much of a batch has to meet the tolerance, the first step, and what it is multiplied with. */
const RULES = {
  "fp-rnn": { quantile: 0.9, step: 1, decay: 1 },
  "fp-mamba": { quantile: 0.75, step: 0.99, decay: 0.9 },
  "fp-mamba-2": { quantile: 0.9, step: 0.99, decay: 0.9 },
} as const;

const LAYERS = Object.keys(RULES) as readonly AuthorsLayer[];

/**
 * The solver and the adjoint of the code of arXiv 2503.10799: Picard to 0.1 with patience 15, looking at the best residual
 * so far, and one differentiable step. For a layer's options: `fpMamba({ dModel, mixer: householder({ gain: 2 }), eps: 1e-6,
 * ...authors({ layer: "fp-mamba" }) })`, where gain and eps are theirs too. Throws ArgumentError for another layer or phase.
 */
export function authors({ layer, phase = "training", maxSteps = 100 }: AuthorsOptions): {
  readonly solver: ParallelSolver;
  readonly adjoint: ParallelAdjoint;
} {
  requireOneOf("authors: layer", layer, LAYERS);
  requireOneOf("authors: phase", phase, ["training", "evaluation"]);
  const { quantile, ...damping } = RULES[layer];
  const limits = phase === "training" ? { quantile, maxSteps } : { quantile: 1, maxSteps: 1000 };
  const solver = picard({ tol: 0.1, patience: 15, rule: "best", ...damping, ...limits });
  return { solver, adjoint: truncated({ steps: 1 }) };
}
