/** Options of commands that take weights from a file. */
import type { Command } from "commander";
import { UsageError } from "../errors.ts";
import { loadWeights } from "../run/index.ts";
import { file } from "./options.ts";

export interface WeightsFlags {
  /** Of `train`. */
  readonly init?: string;
  /** Of `eval`. */
  readonly weights?: string;
  readonly roundWeights?: boolean;
}

/** Reads the parameters in a file, which have to be like others. */
export type ReadFile = <P>(like: P) => ReturnType<typeof loadWeights<P>>;

export function addWeightsOptions(command: Command, flags: string, description: string): Command {
  return command
    .option(flags, description, file)
    .option("--round-weights", "round numbers of that file that float32 does not have; by default it is refused");
}

/** How the file that the option `name` gives is read; undefined if it is not given. Throws UsageError. */
export function readFileOf(name: "init" | "weights", flags: WeightsFlags): ReadFile | undefined {
  const { [name]: path, roundWeights: round = false } = flags;
  if (path !== undefined) return (like) => loadWeights(path, like, { round });
  if (round) throw new UsageError(`--round-weights means nothing without --${name}; give that too`);
  return undefined;
}
