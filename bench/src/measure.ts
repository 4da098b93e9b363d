/** Interleaved samples: one of each contestant, then again, so that what else the machine does hits all of them alike. */
import type { Task } from "./framework.ts";

export type Clock = "wall" | "cpu";

/** Milliseconds a run. */
export type Sample = Readonly<Record<Clock, number>>;

export interface MeasureOptions {
  /** "cpu" counts this process's time on all cores, and so not what other processes take. */
  readonly clock: Clock;
  /** Samples of each contestant at most; slow ones get fewer, at least `fewest`. */
  readonly samples: number;
  readonly fewest: number;
  /** Milliseconds that each contestant runs before: compilers replace code while it runs, after thousands of calls. */
  readonly warmUp: number;
  /** Milliseconds that a sample lasts at least; a task is repeated until then. */
  readonly sampleTime: number;
  /** Milliseconds that one contestant may take, about. */
  readonly budget: number;
}

/** A page has no process. */
const usage = (globalThis as { process?: Partial<NodeJS.Process> }).process?.cpuUsage;

const now = (): Sample => {
  const { user, system } = usage?.() ?? { user: 0, system: 0 };
  return { wall: performance.now(), cpu: (user + system) / 1000 };
};

/** For each task the samples in order, by both clocks; their number goes by the one of the options. */
export async function interleave(tasks: readonly Task[], options: MeasureOptions): Promise<Sample[][]> {
  const { clock } = options;
  const plans: { task: Task; repeats: number; stride: number; samples: Sample[] }[] = [];
  for (const task of tasks) {
    const warm = (await warmUp(task, options.warmUp))[clock];
    let repeats = 1;
    // What takes longer than it may is run no more often than it has to be.
    let lasted = warm > options.budget ? warm : (await time(task, repeats))[clock];
    while (lasted < options.sampleTime && repeats < 2 ** 20) {
      repeats *= 2;
      lasted = repeats * (await time(task, repeats))[clock];
    }
    const affordable = Math.max(options.fewest, Math.floor(options.budget / lasted));
    const stride = Math.max(1, Math.ceil(options.samples / affordable));
    plans.push({ task, repeats, stride, samples: [] });
  }
  for (let round = 0; round < options.samples; round++) {
    for (const { task, repeats, stride, samples } of plans) {
      if (round % stride === 0) samples.push(await time(task, repeats));
    }
  }
  return plans.map(({ samples }) => samples);
}

/** Resolves with the last run. */
async function warmUp(task: Task, milliseconds: number): Promise<Sample> {
  const end = performance.now() + milliseconds;
  let last: Sample;
  do last = await time(task, 1);
  while (performance.now() < end);
  return last;
}

async function time(task: Task, repeats: number): Promise<Sample> {
  if (task.time !== undefined) return task.time(repeats);
  const before = now();
  for (let i = 0; i < repeats; i++) {
    const pending = task.run();
    if (pending instanceof Promise) await pending;
  }
  const after = now();
  return { wall: (after.wall - before.wall) / repeats, cpu: (after.cpu - before.cpu) / repeats };
}

export function median(samples: readonly number[]): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const [low, high] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  return low === undefined || high === undefined ? Number.NaN : (low + high) / 2;
}
