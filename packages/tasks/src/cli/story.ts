/** What a story of `banach start` is: a run, the lengths it is shown at, and what its figures mean. */
import { join } from "node:path";
import { buildRun } from "../models/build.ts";
import { createRun, type RunConfig, type RunPlan } from "../run/index.ts";
import { type EvaluationRow, initialState } from "../train/index.ts";
import { EXIT, type ExitCode } from "./exit-codes.ts";
import { formatPercent } from "./format.ts";
import type { Reporter } from "./reporter.ts";
import { accuracyAt, evaluateRun, evaluationTable, type SessionOptions, trainRun } from "./session.ts";
import { secondVariants, trainedVariants } from "./variants.ts";

export interface Story {
  readonly plan: (seed: number) => RunPlan;
  /** Lengths of the evaluation, the trained one first. */
  readonly lengths: readonly number[];
  /** Where the second solver would take long: the lengths, and how many sequences of each, that it is given. */
  readonly second?: { readonly lengths: readonly number[]; readonly batch: number; readonly batches: number };
  /** Share of tokens that has to be right at each of some lengths, in every way of solving that converges. */
  readonly wanted: readonly { readonly length: number; readonly accuracy: number }[];
  /** Another model, trained on the same for as many steps and shown below, to show what it cannot do. */
  readonly baseline?: Baseline;
  /** A few lines for a newcomer. */
  readonly meaning: string;
}

export interface Baseline {
  readonly name: string;
  readonly plan: (plan: RunPlan) => RunPlan;
  /** Shares of tokens that it stays below: if it does not, the story is not true. */
  readonly fails: readonly { readonly length: number; readonly below: number }[];
}

/** Shows accuracy by length, and what it means; what is wanted has to come out, and the baseline has to fail. */
export async function finishStory(story: Story, options: SessionOptions): Promise<ExitCode> {
  const { report } = options;
  const rows = await storyRows(story, options);
  if (rows === null) return EXIT.interrupted;
  report.result("");
  for (const line of evaluationTable(rows)) report.result(line);
  report.result("");
  const missed = [...missedBy(story, rows)];
  if (story.baseline !== undefined) {
    const beside = await baselineRows(story.baseline, story.lengths, options);
    if (beside.length < story.lengths.length) return EXIT.interrupted;
    report.result(`${story.baseline.name}, as many steps:`);
    for (const line of evaluationTable(beside)) report.result(line);
    report.result("");
    missed.push(...missedByBaseline(story.baseline, beside));
  }
  report.result(story.meaning);
  for (const text of missed) report.warn(text);
  return missed.length === 0 ? EXIT.ok : EXIT.checkFailed;
}

/** What is wanted and did not come out, a sentence each. */
export function missedBy({ wanted }: Pick<Story, "wanted">, rows: readonly EvaluationRow[]): readonly string[] {
  return wanted.flatMap(({ length, accuracy }) => {
    const reached = accuracyAt(rows, length);
    if (reached >= accuracy) return [];
    return [`only ${formatPercent(reached)} right at length ${length}, ${formatPercent(accuracy)} wanted`];
  });
}

/** What the baseline can do though it should not, a sentence each. */
export function missedByBaseline(
  { name, fails }: Pick<Baseline, "name" | "fails">,
  rows: readonly EvaluationRow[],
): readonly string[] {
  return fails.flatMap(({ length, below }) => {
    const reached = accuracyAt(rows, length);
    if (reached < below) return [];
    return [`${name} has ${formatPercent(reached)} right at length ${length}, below ${formatPercent(below)} expected`];
  });
}

/** By length, the way of training first; null if it was interrupted. */
async function storyRows(
  { lengths, second }: Pick<Story, "lengths" | "second">,
  options: SessionOptions,
): Promise<readonly EvaluationRow[] | null> {
  const { config } = options.run;
  const parts = [
    { variants: trainedVariants(config), lengths },
    { variants: secondVariants(config, Math.max(...lengths)), lengths, ...second },
  ];
  const rows: EvaluationRow[] = [];
  for (const part of parts) {
    const found = await evaluateRun({ ...options, ...part });
    if (found.length < part.variants.length * part.lengths.length) return null;
    rows.push(...found);
  }
  return rows.sort((a, b) => a.length - b.length);
}

/** Trains the baseline in a folder in that of the run, and evaluates it. */
async function baselineRows(
  { name, plan }: Baseline,
  lengths: readonly number[],
  options: SessionOptions,
): Promise<readonly EvaluationRow[]> {
  const { run: main, state: trained } = options;
  const report = speakingOf(name, options.report);
  const { step } = trained.counters;
  const config: RunConfig = { ...main.config, ...plan(main.config), steps: step, target: null };
  const parts = buildRun(config);
  const start = initialState({ ...parts, seed: config.seed });
  const run = await createRun(join(main.path, "baseline"), config, start);
  report.event({ type: "run", folder: run.path, config });
  report.note(`${step} steps for comparison`);
  const { state } = await trainRun({ ...options, report, run, parts, state: start });
  return evaluateRun({ ...options, report, run, state, lengths });
}

/** Notes and warnings begin with a name, so that they are not taken for those of the run, said again. */
function speakingOf(name: string, report: Reporter): Reporter {
  return {
    ...report,
    note: (text) => report.note(`${name}: ${text}`),
    warn: (text) => report.warn(`${name}: ${text}`),
  };
}
