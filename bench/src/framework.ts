/** What a framework has to offer to be measured. */
import type { Work } from "./work.ts";

/** Work that is ready to run: compiled where there is a compiler, its inputs in place. */
export interface Task {
  /** Does the work once, to the end; the results are freed. A promise is waited for. */
  run(): unknown;
  /** The first result of the work, to see that everybody computes the same; absent for ceilings. */
  result?(): Promise<ArrayLike<number>>;
  dispose?(): void;
}

export interface Framework {
  readonly name: string;
  readonly version: string;
  /** undefined for work that it does not offer. */
  prepare(work: Work): Promise<Task | undefined>;
}
