/** Progress on stderr: a bar on a terminal, a plain line every few seconds elsewhere. */
import cliProgress from "cli-progress";
import { formatSeconds } from "./format.ts";
import { type Io, takesColour } from "./io.ts";

/** Between two plain lines. */
const LINE_SECONDS = 5;

/** What the line of a bar takes besides the bar, so that it fits in 80 columns. */
const TEXT_COLUMNS = 76;

export interface Progress {
  /** `text` says what has been measured. */
  update(done: number, text: string): void;
  /** Takes the bar away while something else is written. */
  around(write: () => void): void;
  stop(): void;
}

export interface ProgressOptions {
  readonly label: string;
  readonly total: number;
  /** What was done before; default 0. */
  readonly done?: number;
  /** Whether to write plain lines where there is no terminal; default true. */
  readonly lines?: boolean;
}

export function startProgress(io: Io, options: ProgressOptions): Progress {
  const { total, done = 0 } = options;
  const startedAt = performance.now();
  const eta = (now: number): string => {
    const seconds = (performance.now() - startedAt) / 1000;
    return now <= done ? "?" : formatSeconds((seconds / (now - done)) * (total - now));
  };
  if (io.stderr.isTTY === true) return bar(io, options, eta);
  return lines(io, options, eta);
}

function bar(io: Io, { label, total, done = 0 }: ProgressOptions, eta: (done: number) => string): Progress {
  const colour = takesColour(io.stderr, io.env);
  const single = new cliProgress.SingleBar(
    {
      stream: io.stderr as unknown as NodeJS.WritableStream,
      format: `${label} ${colour ? "\u001B[36m{bar}\u001B[39m" : "{bar}"} {value}/{total}  ETA {left}  {text}`,
      barsize: Math.min(30, Math.max(5, (io.stderr.columns ?? 80) - TEXT_COLUMNS)),
      hideCursor: true,
      clearOnComplete: true,
      stopOnComplete: false,
      // Interrupts are handled elsewhere; the bar must not restore the terminal on its own.
      gracefulExit: false,
    },
    cliProgress.Presets.shades_classic,
  );
  const start = (value: number, text: string): void => single.start(total, value, { text, left: eta(value) });
  let last = { value: done, text: "" };
  start(done, "");
  return {
    update: (value, text) => {
      last = { value, text };
      single.update(value, { text, left: eta(value) });
    },
    around: (write) => {
      single.stop();
      write();
      start(last.value, last.text);
    },
    stop: () => single.stop(),
  };
}

function lines(
  io: Io,
  { label, total, lines: wanted = true }: ProgressOptions,
  eta: (done: number) => string,
): Progress {
  let writtenAt = -Infinity;
  let pending: string | null = null;
  const write = (line: string): void => {
    io.stderr.write(`${line}\n`);
    writtenAt = performance.now();
    pending = null;
  };
  return {
    update: (value, text) => {
      if (!wanted) return;
      pending = `${label} ${value}/${total}  ETA ${eta(value)}  ${text}`;
      if (performance.now() - writtenAt > LINE_SECONDS * 1000) write(pending);
    },
    around: (other) => other(),
    stop: () => {
      if (pending !== null) write(pending);
    },
  };
}
