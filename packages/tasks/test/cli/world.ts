/** A world for the command in tests: streams that are kept, and interrupts on demand. */
import { main } from "../../src/cli/main.ts";
import type { Io } from "../../src/cli/io.ts";

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** The codes that the command wanted to end the process with at once. */
  readonly exits: readonly number[];
}

export interface WorldOptions {
  readonly isTTY?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  /** Called at each write to either stream; `interrupt` is Ctrl-C. */
  readonly onWrite?: (text: string, interrupt: () => void) => void;
  /** By default a new process would not help. */
  readonly restart?: Io["restart"];
}

export async function banach(args: readonly string[], options: WorldOptions = {}): Promise<Outcome> {
  const { isTTY = false, env = {}, onWrite, restart = () => null } = options;
  const handlers = new Set<() => void>();
  const text = { stdout: "", stderr: "" };
  const exits: number[] = [];
  const interrupt = (): void => {
    for (const handler of handlers) handler();
  };
  const stream = (name: keyof typeof text): Io["stdout"] => ({
    isTTY,
    write: (chunk: string) => {
      text[name] += chunk;
      onWrite?.(chunk, interrupt);
      return true;
    },
  });
  const code = await main(args, {
    stdout: stream("stdout"),
    stderr: stream("stderr"),
    env,
    command: "banach",
    onInterrupt: (handler) => {
      handlers.add(handler);
      return () => handlers.delete(handler);
    },
    exit: (exit) => exits.push(exit),
    restart,
  });
  return { code, ...text, exits };
}

/** The JSON lines of a text; fails on anything else. */
export function jsonLines(text: string): readonly Record<string, unknown>[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** Options of a training that takes well under a second. */
export const tiny: readonly string[] = [
  "--batch",
  "4",
  "--d-model",
  "4",
  "--expand",
  "1",
  "--length",
  "3",
  "--steps",
  "3",
];
