/** The ways in which a trained model is solved when it is evaluated: by two solvers, to two tolerances each. */
import { buildModel, buildTask, solvedTo } from "../models/build.ts";
import { buildSolver, defaultAdjoint } from "../models/solvers.ts";
import { type FixedPointModel, isFixedPoint, type RunConfig, type SolverConfig } from "../run/index.ts";
import type { Variant } from "../train/index.ts";

/** Iterations of the second solver, at most: Picard has to carry information through time as well. */
export const SECOND_STEPS = 400;

/**
 * As in training, and by a second solver. Figures that are alike in all of these ways are those of a fixed point, and not
 * of the solver that the model was trained with. Where nothing is solved, the model alone.
 */
export function trainingVariants(config: RunConfig, longest: number): readonly Variant[] {
  return [...trainedVariants(config), ...secondVariants(config, longest)];
}

/** The model as it was trained, which comes first, and solved to a tenth of the tolerance with twice the iterations. */
export function trainedVariants(config: RunConfig): readonly Variant[] {
  const { model } = config;
  if (!isFixedPoint(model)) {
    return [{ label: "no solver", model: buildModel(model, buildTask(config).vocabulary) }];
  }
  const { solver, adjoint } = model;
  const at = (tol: number, maxSteps: number): Variant => solvedBy(config, solvedTo(model, tol, maxSteps));
  const trained: Variant =
    adjoint.kind === "unrolled"
      ? {
          solver: adjoint.kind,
          label: `${adjoint.steps} sweeps`,
          model: buildModel(model, buildTask(config).vocabulary),
        }
      : at(solver.tol, solver.maxSteps);
  return [trained, at(tighter(solver.tol), 2 * solver.maxSteps)];
}

/** The model by Picard from zeros, or sequentially if it was trained by Picard, at sequences up to a length. */
export function secondVariants(config: RunConfig, longest: number): readonly Variant[] {
  const { model } = config;
  if (!isFixedPoint(model)) return [];
  const { kind, tol } = model.solver;
  // Parity takes two sweeps for a position, the word problem of A5 one and a half.
  const maxSteps = Math.max(SECOND_STEPS, 3 * longest + 40);
  // Without a tolerance both would make as many iterations.
  const tols = tol === 0 ? [tol] : [tol, tighter(tol)];
  return tols.map((to) => {
    const solver: SolverConfig = { kind: kind === "picard" ? "sequential" : "picard", tol: to, maxSteps };
    // Without a gradient the adjoint does not matter, but it has to fit the solver.
    return solvedBy(config, { ...model, solver, adjoint: defaultAdjoint(solver) });
  });
}

/** Rounded, so that a tenth of 0.03 is written 0.003. */
function tighter(tol: number): number {
  return Number((tol / 10).toPrecision(6));
}

/** With tolerance 0 the iterations say how far it is solved. */
function solvedBy(config: RunConfig, model: FixedPointModel): Variant {
  const { solver } = model;
  return {
    solver: buildSolver(solver).name,
    label: solver.tol === 0 ? `${solver.maxSteps} iterations` : `tol ${solver.tol}`,
    model: buildModel(model, buildTask(config).vocabulary),
  };
}
