/** What a story of `banach start` is: a run, the lengths it is shown at, and what its figures mean. */
import type { RunPlan } from "../run/index.ts";
import { EXIT, type ExitCode } from "./exit-codes.ts";
import { formatPercent } from "./format.ts";
import { accuracyAt, evaluateRun, evaluationTable, type SessionOptions } from "./session.ts";

export interface Story {
  readonly plan: (seed: number) => RunPlan;
  /** Lengths of the evaluation, the trained one first. */
  readonly lengths: readonly number[];
  /** Share of tokens that has to be right at each of some lengths, solved either way. */
  readonly wanted: readonly { readonly length: number; readonly accuracy: number }[];
  /** A few lines for a newcomer. */
  readonly meaning: string;
}

/** Shows accuracy by length, and what it means; what is wanted has to come out. */
export async function finishStory(story: Story, options: SessionOptions): Promise<ExitCode> {
  const { report } = options;
  const rows = await evaluateRun({ ...options, lengths: story.lengths });
  if (rows.length < 2 * story.lengths.length) return EXIT.interrupted;
  report.result("");
  for (const line of evaluationTable(rows)) report.result(line);
  report.result("");
  report.result(story.meaning);
  let exit: ExitCode = EXIT.ok;
  for (const { length, accuracy } of story.wanted) {
    const reached = accuracyAt(rows, length);
    if (reached >= accuracy) continue;
    report.warn(`only ${formatPercent(reached)} right at length ${length}, ${formatPercent(accuracy)} wanted`);
    exit = EXIT.checkFailed;
  }
  return exit;
}
