/** `banach eval FOLDER`: accuracy by length of a run that was trained before. */
import type { Command } from "commander";
import { buildModel, buildRun, buildTask } from "../models/build.ts";
import { buildSolver, defaultAdjoint } from "../models/solvers.ts";
import { isFixedPoint, openRun, type RunConfig, type RunFolder, type SolverName } from "../run/index.ts";
import { initialState, type Variant } from "../train/index.ts";
import { UsageError } from "../errors.ts";
import { type BackendFlags, noteChange, openBackend, preferred, restartFor } from "./backends.ts";
import { EXIT } from "./exit-codes.ts";
import { interruptible } from "./interrupt.ts";
import type { Io } from "./io.ts";
import { reporter } from "./reporter.ts";
import { evaluateRun, evaluationTable, fullLengthOf } from "./session.ts";
import { solverOf } from "./train-options.ts";
import { SECOND_STEPS, trainingVariants } from "./variants.ts";
import { readFileOf, type WeightsFlags } from "./weights-options.ts";

export interface EvalFlags extends BackendFlags, WeightsFlags {
  readonly lengths?: readonly number[];
  readonly solver?: SolverName;
  readonly chunk?: number;
  readonly tol?: number;
  readonly maxSteps?: number;
  readonly batch: number;
  readonly batches: number;
  readonly json?: boolean;
}

export async function evalCommand(io: Io, path: string, command: Command): Promise<number> {
  const flags = command.opts<EvalFlags>();
  const report = reporter(io, flags.json === true);
  const weights = readFileOf("weights", flags);
  const folder = await openRun(path);
  const { config } = folder;
  const full = fullLengthOf(config);
  const lengths = flags.lengths ?? [full, 2 * full, 3 * full, 4 * full];
  const variants = variantsOf(config, flags, Math.max(...lengths));
  const backends = preferred(flags, config);
  const restarted = restartFor(backends, io);
  if (restarted !== null) return restarted;
  const parts = buildRun(config);
  const start = initialState({ ...parts, seed: config.seed });
  const loaded = weights === undefined ? null : await weights(start.params);
  const state = loaded === null ? await folder.load(start) : { ...start, params: loaded.params };
  const run = loaded === null ? folder : noting(folder, loaded.record.file);
  const opened = await openBackend(backends, flags, report);
  await using device = opened.device;
  const which = loaded === null ? `after step ${state.counters.step}` : `with the weights of ${loaded.record.file}`;
  report.note(`${parts.task.name}: ${path} ${which}, trained at lengths up to ${full}; backend ${device.name}`);
  noteChange(config, opened.record, report);
  const onInterrupt = (): void => report.note("finishing the batch at hand; Ctrl-C again ends at once");
  return await interruptible(io, onInterrupt, async (signal) => {
    const rows = await evaluateRun({
      run,
      state,
      device,
      report,
      signal,
      variants,
      lengths,
      batch: flags.batch,
      batches: flags.batches,
    });
    if (rows.length > 0) for (const line of evaluationTable(rows)) report.result(line);
    return signal.aborted ? EXIT.interrupted : EXIT.ok;
  });
}

/** The same folder, its evaluations with the file that the weights are from. */
function noting(folder: RunFolder, weights: string): RunFolder {
  return { ...folder, append: (line) => folder.append(line.type === "evaluation" ? { ...line, weights } : line) };
}

/** Times the iterations in training: another solver or tolerance may need more. */
const MAX_STEPS_FACTOR = 10;

/** In words. */
export const MAX_STEPS_DEFAULT: string = `as in training, and twice as many at a tenth of its tolerance; ${SECOND_STEPS} or more of the second solver; ${MAX_STEPS_FACTOR} times as many with --solver or --tol`;

/** As in training, tighter and by a second solver, or the one way of solving that the options describe. */
function variantsOf(
  config: RunConfig,
  { solver, chunk, tol, maxSteps }: EvalFlags,
  longest: number,
): readonly Variant[] {
  if ([solver, chunk, tol, maxSteps].every((flag) => flag === undefined)) return trainingVariants(config, longest);
  if (!isFixedPoint(config.model)) {
    const given = Object.entries({ solver, chunk, tol, "max-steps": maxSteps }).flatMap(([name, value]) =>
      value === undefined ? [] : [`--${name} ${value}`],
    );
    throw new UsageError(`${given.join(", ")}: layer ${config.model.kind} is no fixed point, and has no solver`);
  }
  const trained = config.model.solver;
  const limits = { tol: tol ?? trained.tol, maxSteps: maxSteps ?? MAX_STEPS_FACTOR * trained.maxSteps };
  const kind = solver ?? trained.kind;
  const pieces = kind === "chunked" && trained.kind === "chunked" ? (chunk ?? trained.chunk) : chunk;
  const chosen = solverOf(kind, limits, pieces);
  // Without a gradient the adjoint does not matter, but it has to fit the solver.
  const adjoint = chosen.kind === "sequential" ? defaultAdjoint(chosen) : ({ kind: "truncated", steps: 1 } as const);
  const { name } = buildSolver(chosen);
  const model = buildModel({ ...config.model, solver: chosen, adjoint }, buildTask(config).vocabulary);
  return [{ solver: name, label: `tol ${chosen.tol}, up to ${chosen.maxSteps} iterations`, model }];
}
