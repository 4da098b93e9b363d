/** `banach start`: the first thing to run. It trains a small model in seconds and shows what was learnt. */
import type { Command } from "commander";
import type { BackendFlags } from "./backends.ts";
import { timestamp } from "./format.ts";
import type { Io } from "./io.ts";
import { finishParity, parityPlan } from "./parity-story.ts";
import { reporter } from "./reporter.ts";
import { startRun } from "./train-command.ts";

export interface StartFlags extends BackendFlags {
  readonly out?: string;
  readonly seed: number;
  readonly json?: boolean;
}

export async function startCommand(io: Io, command: Command): Promise<number> {
  const flags = command.opts<StartFlags>();
  const report = reporter(io, flags.json === true);
  const path = flags.out ?? `runs/start-${timestamp()}`;
  return startRun(io, parityPlan(flags.seed), { report, flags, path, finish: finishParity });
}
