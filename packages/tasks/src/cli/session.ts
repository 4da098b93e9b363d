/** Training and evaluating a run folder, with progress, metrics and checkpoints: what the commands share. */
import type { Device } from "@banach/autograd";
import { buildLengths, buildTask, type RunParts } from "../models/build.ts";
import type { RunConfig, RunFolder, StepLine } from "../run/index.ts";
import {
  evaluate,
  type EvaluationRow,
  type StepEvent,
  train,
  type TrainResult,
  type TrainState,
  type Variant,
} from "../train/index.ts";
import { formatPercent, formatSeconds, formatTable } from "./format.ts";
import type { Reporter } from "./reporter.ts";
import { trainingVariants } from "./variants.ts";

/** Between two checkpoints. */
const CHECKPOINT_SECONDS = 30;

/** Steps between two warnings of one kind. */
const WARNING_STEPS = 200;

export interface SessionOptions {
  readonly run: RunFolder;
  readonly parts: RunParts;
  readonly state: TrainState;
  readonly device: Device;
  readonly report: Reporter;
  readonly signal: AbortSignal;
}

/** Trains from a state to a reason to stop. The checkpoint is then that of the result. */
export async function trainRun(options: SessionOptions): Promise<TrainResult> {
  const { run, parts, state, device, report, signal } = options;
  const { config } = run;
  const warn = warnings(report);
  let savedAt = 0;
  const result = await report.progress(
    { label: "training", total: config.steps, done: state.counters.step },
    (progress) =>
      train({
        ...parts,
        device,
        state,
        signal,
        seed: config.seed,
        batch: config.batch,
        steps: config.steps,
        clip: config.optimizer.clip,
        target: config.target,
        timeLimit: config.timeLimit,
        onStep: async (event) => {
          const line = stepLine(event);
          await run.append(line);
          report.event(line);
          progress.update(event.counters.step, describeStep(event));
          warn(event);
          if (event.seconds - savedAt < CHECKPOINT_SECONDS) return;
          savedAt = event.seconds;
          await run.save(await event.snapshot());
        },
      }),
  );
  await run.save(result.state);
  const { reason, seconds, state: after } = result;
  const { step, skipped, notConverged, diverged, adjointFailed } = after.counters;
  const line = { type: "stop", step, reason, seconds, skipped, notConverged, diverged, adjointFailed } as const;
  await run.append(line);
  report.event(line);
  report.note(describeStop(result, config));
  return result;
}

function stepLine(event: StepEvent): StepLine {
  const { counters, length, depth, loss, tokenAccuracy, sequenceAccuracy, gradientNorm } = event;
  const { iterations, notConverged, diverged, adjointFailed, skipped, seconds } = event;
  return {
    type: "step",
    step: counters.step,
    length,
    ...(depth === null ? {} : { depth }),
    loss,
    tokenAccuracy,
    sequenceAccuracy,
    gradientNorm,
    iterations,
    notConverged,
    diverged,
    adjointFailed,
    skipped,
    seconds,
  };
}

function describeStep({ loss, tokenAccuracy, iterations, counters }: StepEvent): string {
  // One of the two, so that the line of a bar is not too long.
  const solved = counters.diverged > 0 ? `diverged ${counters.diverged}` : `iterations ${iterations.toFixed(1)}`;
  return `loss ${loss.toFixed(3)}  accuracy ${formatPercent(tokenAccuracy)}  ${solved}`;
}

/** Says what goes wrong the first time, and then with its count every so often. */
function warnings(report: Reporter): (event: StepEvent) => void {
  const saidAt = { skipped: -Infinity, diverged: -Infinity, notConverged: -Infinity, adjointFailed: -Infinity };
  const say = (kind: keyof typeof saidAt, step: number, text: string): void => {
    if (step - saidAt[kind] < WARNING_STEPS) return;
    saidAt[kind] = step;
    report.warn(`step ${step}: ${text}`);
  };
  return ({ counters, skipped, notConverged, diverged, adjointFailed }) => {
    if (diverged > 0) {
      const total = `${counters.diverged} so far, ${counters.skipped} updates skipped`;
      say("diverged", counters.step, `${diverged} sequences diverged, update skipped (${total})`);
    } else if (skipped) {
      say("skipped", counters.step, `loss or gradient not finite, update skipped (${counters.skipped} so far)`);
    }
    if (notConverged > 0) {
      const total = counters.notConverged;
      say(
        "notConverged",
        counters.step,
        `the solver left ${notConverged} sequences above its tolerance (${total} so far)`,
      );
    }
    if (adjointFailed > 0) {
      const total = counters.adjointFailed;
      say("adjointFailed", counters.step, `the backward solve failed for ${adjointFailed} sequences (${total} so far)`);
    }
  };
}

function describeStop({ reason, state, seconds }: TrainResult, config: RunConfig): string {
  const { step, skipped, notConverged, diverged, adjointFailed } = state.counters;
  const at = `after step ${step}, ${formatSeconds(seconds)}`;
  // Most adjoints solve nothing.
  const backward = adjointFailed > 0 ? `, backward solves failed ${adjointFailed}` : "";
  const counts = `updates skipped ${skipped}, sequences not converged ${notConverged}, diverged ${diverged}${backward}`;
  switch (reason) {
    case "steps":
      return `all ${config.steps} steps made in ${formatSeconds(seconds)}; ${counts}`;
    case "target":
      return `target accuracy reached ${at}; ${counts}`;
    case "time":
      return `time limit reached ${at}; ${counts}`;
    case "interrupted":
      return `interrupted ${at}; ${counts}`;
    case "diverged":
      return `stopped ${at}: sequences diverged in one batch after another; ${counts}. Use --gain 1, a mixer that contracts, or a lower learning rate`;
    case "adjointFailed":
      return `stopped ${at}: no gradient in one batch after another, because the backward solve of the adjoint failed; ${counts}. Use --gain 1 or another --adjoint; in code, a backward solve by gmres() or of more maxSteps`;
    case "nonFinite":
      return `stopped ${at}: one update after another came out not finite; ${counts}. Lower the learning rate`;
    default:
      return reason satisfies never;
  }
}

export interface EvaluationOptions extends Omit<SessionOptions, "parts"> {
  readonly lengths: readonly number[];
  readonly variants?: readonly Variant[];
  readonly batch?: number;
  readonly batches?: number;
}

/** Accuracy by length, by default in all ways of `trainingVariants`. Written to the metrics; events are sent. */
export async function evaluateRun(options: EvaluationOptions): Promise<readonly EvaluationRow[]> {
  const { run, state, device, report, signal, lengths, batch = 128, batches = 2 } = options;
  const variants = options.variants ?? trainingVariants(run.config, Math.max(...lengths));
  const total = lengths.length * variants.length * batches;
  const [solver, ...others] = new Set(variants.map((variant) => variant.solver));
  const label = solver === undefined || others.length > 0 ? "evaluating" : `evaluating by ${solver}`;
  const rows = await report.progress({ label, total }, (progress) =>
    evaluate({
      task: buildTask(run.config),
      variants,
      params: state.params,
      key: state.key,
      device,
      lengths,
      batch,
      batches,
      signal,
      onBatch: ({ done, length }) => progress.update(done, `length ${length}`),
    }),
  );
  for (const row of rows) {
    const line = { type: "evaluation", step: state.counters.step, ...row } as const;
    await run.append(line);
    report.event(line);
  }
  return rows;
}

/** The rows as a table for people. */
export function evaluationTable(rows: readonly EvaluationRow[]): readonly string[] {
  return formatTable(
    ["length", "solver", "solved to", "tokens right", "sequences right", "iterations", "converged"],
    rows.map((row) => [
      String(row.length),
      row.solver ?? "none",
      row.solver === null ? "-" : row.label,
      formatPercent(row.tokenAccuracy),
      formatPercent(row.sequenceAccuracy),
      // Nothing to count where nothing is solved.
      ...(row.solver === null ? ["-", "-"] : [row.iterations.toFixed(1), formatPercent(row.converged)]),
    ]),
  );
}

/** Share of the sequences that a way of solving has to solve for its accuracy to say something of the model. */
const SOLVED = 0.99;

/**
 * Token accuracy at a length in the worst of the ways in which it was solved: a model that is right with one of them only
 * has learnt its solver. The first way is that of training, and counts as it is; the others count where they converged.
 * NaN, which reaches nothing, if the length was not evaluated.
 */
export function accuracyAt(rows: readonly EvaluationRow[], length: number): number {
  const accuracies = rows
    .filter((row) => row.length === length)
    .filter(({ converged }, i) => i === 0 || converged >= SOLVED)
    .map(({ tokenAccuracy }) => tokenAccuracy);
  return accuracies.length === 0 ? Number.NaN : Math.min(...accuracies);
}

/** The length that a run trains for. */
export function fullLengthOf(config: RunConfig): number {
  return buildLengths(config.lengths).full;
}
