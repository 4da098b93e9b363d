/** Ctrl-C: the first one asks for a stop after the step at hand, the second one ends the process. */
import { EXIT } from "./exit-codes.ts";
import type { Io } from "./io.ts";

/** A terminal and a parent such as npm may both pass on the same Ctrl-C: what comes within this time is one. */
const SAME_INTERRUPT_MS = 300;

/** Runs work with a signal that the first interrupt aborts; `onFirst` says what comes then. */
export async function interruptible<T>(
  io: Io,
  onFirst: () => void,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  let firstAt: number | null = null;
  const release = io.onInterrupt(() => {
    if (firstAt === null) {
      firstAt = performance.now();
      controller.abort();
      onFirst();
    } else if (performance.now() - firstAt > SAME_INTERRUPT_MS) {
      io.exit(EXIT.interrupted);
    }
  });
  try {
    return await work(controller.signal);
  } finally {
    release();
  }
}
