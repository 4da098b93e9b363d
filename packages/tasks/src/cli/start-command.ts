/** `banach start`: the first thing to run. It trains a small model and shows what was learnt. */
import type { Command } from "commander";
import type { BackendFlags } from "./backends.ts";
import type { ExitCode } from "./exit-codes.ts";
import { timestamp } from "./format.ts";
import type { Io } from "./io.ts";
import { a5Story } from "./a5-story.ts";
import { parityStory } from "./parity-story.ts";
import { reporter } from "./reporter.ts";
import type { SessionOptions } from "./session.ts";
import { finishStory } from "./story.ts";
import { startRun } from "./train-command.ts";

export interface StartFlags extends BackendFlags {
  readonly out?: string;
  readonly seed: number;
  readonly json?: boolean;
  /** The word problem of A5 in place of parity. */
  readonly a5?: boolean;
}

export async function startCommand(io: Io, command: Command): Promise<number> {
  const flags = command.opts<StartFlags>();
  const report = reporter(io, flags.json === true);
  const path = flags.out ?? `runs/start-${timestamp()}`;
  const story = flags.a5 === true ? a5Story : parityStory;
  const finish = (options: SessionOptions): Promise<ExitCode> => finishStory(story, options);
  return startRun(io, story.plan(flags.seed), { report, flags, path, finish });
}
