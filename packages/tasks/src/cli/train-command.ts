/** `banach train`: a new run, or one that goes on. */
import type { Command } from "commander";
import { UsageError } from "../errors.ts";
import { buildRun, type RunParts } from "../models/build.ts";
import { type BackendRecord, createRun, openRun, type RunPlan } from "../run/index.ts";
import { initialState, type Params, type TrainResult, type TrainState } from "../train/index.ts";
import { type BackendFlags, describeDevice, noteChange, openBackend, preferred, restartFor } from "./backends.ts";
import { EXIT, type ExitCode } from "./exit-codes.ts";
import { formatPercent, timestamp } from "./format.ts";
import { interruptible } from "./interrupt.ts";
import type { Io } from "./io.ts";
import { type Reporter, reporter } from "./reporter.ts";
import { accuracyAt, evaluateRun, evaluationTable, fullLengthOf, type SessionOptions, trainRun } from "./session.ts";
import { givenOptions, planOf, RESUME_OPTIONS, targetOf, type TrainFlags } from "./train-options.ts";
import { type ReadFile, readFileOf, type WeightsFlags } from "./weights-options.ts";

export async function trainCommand(io: Io, command: Command): Promise<number> {
  const flags = command.opts<TrainFlags & WeightsFlags>();
  const report = reporter(io, flags.json === true);
  if (flags.resume !== undefined) return resume(io, command, flags, flags.resume, report);
  const plan = planOf(flags, command);
  const init = readFileOf("init", flags);
  const options = { report, flags, path: flags.out ?? `runs/train-${timestamp()}`, ...(init && { init }) };
  return startRun(io, () => ({ plan, finish: finishTraining }), options);
}

/** What comes after training: an evaluation, and the exit code that it means. Only for runs that were not interrupted. */
export type Finish = (options: SessionOptions) => Promise<ExitCode>;

export interface StartOptions {
  readonly report: Reporter;
  readonly flags: BackendFlags;
  readonly path: string;
  /** Where the first weights are from; they are drawn if it is not there. */
  readonly init?: ReadFile;
}

/** What is trained, and what comes after. */
export interface Training {
  readonly plan: RunPlan;
  readonly finish: Finish;
}

/** Makes the folder of a run and trains it; what, may depend on the backend that starts. */
export async function startRun(
  io: Io,
  training: (record: BackendRecord) => Training,
  { report, path, flags, init }: StartOptions,
): Promise<number> {
  const backends = preferred(flags);
  const restarted = restartFor(backends, io);
  if (restarted !== null) return restarted;
  const opened = await openBackend(backends, flags, report);
  await using device = opened.device;
  const { plan, finish } = training(opened.record);
  const parts = buildRun(plan);
  const drawn = initialState({ ...parts, seed: plan.seed });
  // Before anything is written: a file that is refused leaves no folder behind.
  const loaded = init === undefined ? null : await init(drawn.params);
  const state = loaded === null ? drawn : { ...drawn, ...startFrom(loaded.params, parts) };
  const config = { ...plan, ...(loaded && { init: loaded.record }), ...opened.record };
  const run = await createRun(path, config, state);
  report.event({ type: "run", folder: path, config });
  report.note(`${parts.task.name}: ${parts.task.description}`);
  report.note(
    `run folder ${path}; ${parts.lengths.name} lengths, seed ${config.seed}, backend ${describeDevice(device)}`,
  );
  return await trainAndFinish(io, { run, parts, state, device, report }, finish);
}

/** What a state has besides what is drawn, where parameters are given. */
function startFrom(params: Params, { optimizer }: RunParts): Pick<TrainState, "params" | "optimizer"> {
  return { params, optimizer: optimizer.init(params) };
}

async function resume(io: Io, command: Command, flags: TrainFlags, path: string, report: Reporter): Promise<number> {
  requireResumable(command);
  const folder = await openRun(path);
  const before = folder.config;
  const backends = preferred(flags, before);
  const restarted = restartFor(backends, io);
  if (restarted !== null) return restarted;
  // Read before anything is changed: a checkpoint that is refused leaves the folder as it was.
  const state = await folder.load(initialState({ ...buildRun(before), seed: before.seed }));
  const { step } = state.counters;
  const steps = command.getOptionValueSource("steps") === "cli" ? flags.steps : before.steps;
  if (steps < step) {
    throw new UsageError(`--steps ${steps}: the run in ${path} has made ${step} already; give ${step} or more`);
  }
  const target = targetOf(flags, before.target);
  const opened = await openBackend(backends, flags, report);
  await using device = opened.device;
  const timeLimit = flags.timeLimit ?? before.timeLimit;
  const run = await folder.reconfigure({ ...opened.record, steps, target, timeLimit });
  const parts = buildRun(run.config);
  await run.rewind(step);
  const line = { type: "resume", step, steps: run.config.steps, backend: device.name } as const;
  await run.append(line);
  report.event(line);
  report.note(
    `${parts.task.name}: going on with ${path} at step ${step} of ${run.config.steps}, backend ${describeDevice(device)}`,
  );
  noteChange(before, run.config, report);
  return await trainAndFinish(io, { run, parts, state, device, report }, finishTraining);
}

/** Throws UsageError for options that would change what the run is. */
function requireResumable(command: Command): void {
  const refused = givenOptions(command, (name) => !RESUME_OPTIONS.includes(name));
  if (refused.length === 0) return;
  const valid = command.options.flatMap((o) => (RESUME_OPTIONS.includes(o.attributeName()) && o.long ? [o.long] : []));
  throw new UsageError(
    `${refused.join(", ")} cannot be changed with --resume; the run's config.json holds. Valid: ${valid.join(", ")}`,
  );
}

async function trainAndFinish(io: Io, options: Omit<SessionOptions, "signal">, finish: Finish): Promise<ExitCode> {
  const { run, report } = options;
  let doing = "finishing the step at hand, then saving";
  const onInterrupt = (): void => report.note(`${doing}; Ctrl-C again ends at once`);
  return interruptible(io, onInterrupt, async (signal) => {
    const result: TrainResult = await trainRun({ ...options, signal });
    const interrupted = (): ExitCode => {
      report.note(`saved in ${run.path}; go on with: ${io.command} train --resume ${quote(run.path)}`);
      return EXIT.interrupted;
    };
    if (result.reason === "interrupted") return interrupted();
    doing = "finishing the batch at hand";
    const code = await finish({ ...options, state: result.state, signal });
    if (signal.aborted) return interrupted();
    report.note(`run folder ${run.path}`);
    return IN_VAIN.includes(result.reason) ? EXIT.checkFailed : code;
  });
}

/** Reasons to stop that mean that going on would not help. */
const IN_VAIN: readonly TrainResult["reason"][] = ["diverged", "adjointFailed", "nonFinite"];

/** For a shell, when there is need. */
function quote(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", String.raw`'\''`)}'`;
}

/** A table at the trained length; the target, if there is one, has to hold in all of it. */
async function finishTraining(options: SessionOptions): Promise<ExitCode> {
  const { run, report } = options;
  const length = fullLengthOf(run.config);
  const rows = await evaluateRun({ ...options, lengths: [length] });
  for (const line of evaluationTable(rows)) report.result(line);
  const { target } = run.config;
  if (target === null || rows.length === 0) return EXIT.ok;
  const accuracy = accuracyAt(rows, length);
  if (accuracy >= target.accuracy) return EXIT.ok;
  report.note(
    `missed the target: ${formatPercent(accuracy)} of tokens right, ${formatPercent(target.accuracy)} wanted`,
  );
  return EXIT.checkFailed;
}
