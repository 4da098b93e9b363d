/** What a framework has to offer to be measured. */
import type { Sample } from "./measure.ts";
import type { Work } from "./work.ts";

/** Work that is ready to run: compiled where there is a compiler, its inputs in place. */
export interface Task {
  /** Does the work once, to the end; the results are freed. A promise is waited for. */
  run(): unknown;
  /** The first result of the work, to see that everybody computes the same; absent for ceilings. */
  result?(): Promise<ArrayLike<number>>;
  /** The work alone, its results not read, for counting what it takes; default `run`. */
  call?(): Promise<void>;
  /** How the solver did in such a run, where the work has one. */
  iterations?(): Promise<SolverReport>;
  /** Milliseconds a run, of so many: for work in another process, whose processor time is not in this one's. */
  time?(runs: number): Promise<Sample>;
  dispose?(): void;
}

export interface SolverReport {
  /** Iterations of a sequence, the mean over the batch. */
  readonly mean: number;
  /** Sequences that did not meet the tolerance. */
  readonly unsolved: number;
}

export interface Framework {
  readonly name: string;
  readonly version: string;
  /** undefined for work that it does not offer. */
  prepare(work: Work): Promise<Task | undefined>;
}
