/** What a command says: results on stdout, as text or as JSON lines; everything else on stderr. */
import pico from "picocolors";
import { type Io, takesColour } from "./io.ts";
import { type Progress, type ProgressOptions, startProgress } from "./progress.ts";

export interface Reporter {
  readonly json: boolean;
  /** A line of the result for people; not written with --json. */
  readonly result: (text: string) => void;
  /** A JSON line of the result; written only with --json. */
  readonly event: <E extends { readonly type: string }>(value: E) => void;
  /** A line of no consequence. */
  readonly note: (text: string) => void;
  readonly warn: (text: string) => void;
  /** Shows progress while work runs; notes and warnings go around it. */
  readonly progress: <T>(options: ProgressOptions, work: (progress: Progress) => Promise<T>) => Promise<T>;
}

export function reporter(io: Io, json: boolean): Reporter {
  const colours = pico.createColors(takesColour(io.stderr, io.env));
  let current: Progress | null = null;
  const say = (line: string): void => {
    const write = (): void => void io.stderr.write(`${line}\n`);
    if (current === null) write();
    else current.around(write);
  };
  return {
    json,
    result: (text) => {
      if (!json) io.stdout.write(`${text}\n`);
    },
    event: (value) => {
      if (json) io.stdout.write(`${JSON.stringify(value)}\n`);
    },
    note: say,
    warn: (text) => say(`${colours.yellow("warning:")} ${text}`),
    progress: async (options, work) => {
      // With --json the numbers are on stdout already.
      const progress = startProgress(io, { ...options, lines: !json });
      current = progress;
      try {
        return await work(progress);
      } finally {
        current = null;
        progress.stop();
      }
    },
  };
}
