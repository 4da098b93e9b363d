/** Of several ways in which a framework can do the same work, the one to measure. */
import type { Task } from "../framework.ts";

/** Milliseconds after which a candidate is not run again. */
const ENOUGH = 1000;

/** Runs each up to three times, and keeps the one whose best run is the shortest. One that fails is out; undefined if all are. */
export async function fastest(candidates: readonly (() => Task | Promise<Task>)[]): Promise<Task | undefined> {
  const [only] = candidates;
  if (candidates.length === 1) return only?.();
  let best: { task: Task; time: number } | undefined;
  for (const candidate of candidates) {
    const task = await candidate();
    const time = await shortest(task);
    if (time < (best?.time ?? Infinity)) {
      best?.task.dispose?.();
      best = { task, time };
    } else task.dispose?.();
  }
  return best?.task;
}

async function shortest(task: Task): Promise<number> {
  const times: number[] = [];
  try {
    do {
      const startedAt = performance.now();
      await task.run();
      times.push(performance.now() - startedAt);
    } while (times.length < 3 && Math.max(...times) < ENOUGH);
  } catch {
    return Infinity;
  }
  return Math.min(...times);
}
