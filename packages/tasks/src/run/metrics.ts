/** metrics.jsonl of a run: one JSON object per line, appended as training goes. */
import type { EvaluationRow, StopReason } from "../train/index.ts";

/** What was measured at a training step. Numbers that are not finite are null in the file. */
export interface StepLine {
  readonly type: "step";
  readonly step: number;
  readonly length: number;
  /** Of the solvers at most, where it was drawn for this batch. */
  readonly depth?: number;
  readonly loss: number;
  readonly tokenAccuracy: number;
  readonly sequenceAccuracy: number;
  readonly gradientNorm: number;
  /** Of the solvers, per sequence; the mean. */
  readonly iterations: number;
  /** Sequences of this batch whose solver did not meet its tolerance. */
  readonly notConverged: number;
  /** Of these, the ones that ran away or came out not finite. */
  readonly diverged: number;
  /** Sequences of this batch whose backward solve did not meet its tolerance; 0 for adjoints that solve nothing. */
  readonly adjointFailed: number;
  /** Whether this update was skipped, because a sequence diverged, or the loss or the gradient was not finite. */
  readonly skipped: boolean;
  readonly seconds: number;
}

export interface ResumeLine {
  readonly type: "resume";
  readonly step: number;
  /** Steps in all, from here on. */
  readonly steps: number;
  /** As the device calls itself. */
  readonly backend: string;
}

export interface StopLine {
  readonly type: "stop";
  readonly step: number;
  readonly reason: StopReason;
  /** Since training started or was resumed. */
  readonly seconds: number;
  readonly skipped: number;
  readonly notConverged: number;
  readonly diverged: number;
  readonly adjointFailed: number;
}

export interface EvaluationLine extends EvaluationRow {
  readonly type: "evaluation";
  readonly step: number;
  /** Where the weights are not those of the run at that step: the file that they are from. */
  readonly weights?: string;
}

export type MetricsLine = StepLine | ResumeLine | StopLine | EvaluationLine;

/** With the line feed. */
export function formatMetrics(line: MetricsLine): string {
  return `${JSON.stringify(line)}\n`;
}

/**
 * The lines up to a step, for going on from a checkpoint: what was written after it is done again, and a last line that
 * was cut short is dropped.
 */
export function linesUpTo(text: string, step: number): string {
  return text
    .split("\n")
    .filter((line) => isUpTo(line, step))
    .map((line) => `${line}\n`)
    .join("");
}

function isUpTo(line: string, step: number): boolean {
  try {
    const value = JSON.parse(line) as { readonly step?: unknown } | null;
    return typeof value?.step === "number" && value.step <= step;
  } catch {
    return false;
  }
}
