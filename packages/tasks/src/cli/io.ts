/** The world as the command sees it: two streams, an environment and interrupts. Tests have a world of their own. */

export interface Stream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  /** Of a terminal. */
  readonly columns?: number;
}

export interface Io {
  /** Results, and nothing else. */
  readonly stdout: Stream;
  /** Progress, notes, warnings and errors. */
  readonly stderr: Stream;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** How the command was called, for hints; e.g. `banach`. */
  readonly command: string;
  /** Calls the handler at each interrupt (Ctrl-C) until the function that it returns is called. */
  onInterrupt(handler: () => void): () => void;
  /** Ends the process at once. */
  exit(code: number): void;
  /** Runs the same command in a new process with a flag of Node: its exit code. Null if that would not help. */
  restart(flag: string): Promise<number> | null;
}

/** Whether a stream takes colours: a terminal, unless NO_COLOR is set (https://no-color.org) or it says it is dumb. */
export function takesColour(stream: Stream, env: Io["env"]): boolean {
  return stream.isTTY === true && (env["NO_COLOR"] ?? "") === "" && env["TERM"] !== "dumb";
}
