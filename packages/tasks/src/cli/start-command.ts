/** `banach start`: the first thing to run. It trains a small model in minutes, or seconds, and shows what was learnt. */
import type { Command } from "commander";
import type { BackendRecord } from "../run/index.ts";
import type { BackendFlags } from "./backends.ts";
import type { ExitCode } from "./exit-codes.ts";
import { timestamp } from "./format.ts";
import type { Io } from "./io.ts";
import { a5Story } from "./a5-story.ts";
import { parityStory } from "./parity-story.ts";
import { reporter } from "./reporter.ts";
import type { SessionOptions } from "./session.ts";
import { finishStory, type Story } from "./story.ts";
import { startRun, type Training } from "./train-command.ts";

export interface StartFlags extends BackendFlags {
  readonly out?: string;
  readonly seed: number;
  readonly json?: boolean;
  /** Parity in place of the word problem of A5. */
  readonly quick?: boolean;
}

export async function startCommand(io: Io, command: Command): Promise<number> {
  const flags = command.opts<StartFlags>();
  const report = reporter(io, flags.json === true);
  const path = flags.out ?? `runs/start-${timestamp()}`;
  const training = ({ backend }: BackendRecord): Training => {
    const story = storyFor(backend, flags.quick === true);
    if (story === parityStory && flags.quick !== true) {
      report.note(`the word problem of A5 would take hours on ${backend}, so this is parity, as with --quick`);
    }
    const finish = (options: SessionOptions): Promise<ExitCode> => finishStory(story, options);
    return { plan: story.plan(flags.seed), finish };
  };
  return startRun(io, training, { report, flags, path });
}

/** A5 where that takes minutes. */
export function storyFor(backend: string, quick: boolean): Story {
  return quick || backend === "reference" ? parityStory : a5Story;
}
