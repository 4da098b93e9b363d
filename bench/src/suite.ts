/** Suites: lists of rows, and how a row is measured. */
import Benchmark from "benchmark";
import type { Ceilings } from "./ceilings.ts";
import type { OurDevices, Setting } from "./devices.ts";
import type { Framework, Task } from "./framework.ts";
import { interleave, type MeasureOptions, median, type Sample } from "./measure.ts";
import type { Row } from "./report.ts";
import { flopsOf, type Work } from "./work.ts";

export interface Contestants {
  readonly ours: OurDevices;
  readonly peers: readonly Framework[];
  readonly ceilings: Ceilings;
}

/** Work that frameworks race at. */
export interface Race {
  readonly name: string;
  readonly unit: Row["unit"];
  readonly work: Work;
  /** Where ours runs; default on one thread with base SIMD. With several threads the clock is the one on the wall. */
  readonly on?: Setting;
  /** To race against in the place of the suite's peers: others, or where else ours runs; nothing if empty. */
  readonly against?: readonly (Setting | Framework)[];
  /** The time reported is of one of so many steps. */
  readonly steps?: number;
  readonly ceiling?: Ceiling;
  /** Whether a row of its own tells how many iterations the solver takes, and, where it fails, one for how many sequences. */
  readonly iterations?: boolean;
  /** Samples at the least, for work so slow that the usual number would take minutes. */
  readonly fewest?: number;
}

/** The slowest of some tasks is the least time the work can take; or its own CPU time is, divided among its threads. */
type Ceiling = { readonly name: string } & (
  { readonly of: (ceilings: Ceilings) => readonly Limit[] } | { readonly threads: number }
);

/** A task, one of our own programs, or one of them so many times. */
type Limit = Task | Work | { readonly work: Work; readonly times: number };

/** Something that only we are measured at, by other means: samples in the unit. */
export interface Own {
  readonly name: string;
  readonly unit: Row["unit"];
  readonly samples: (count: number) => Promise<readonly number[]>;
}

export type Entry = Race | Own;

export interface MeasuredRow extends Row {
  readonly verdict: string;
}

const noRow = { peers: {}, ratio: null, ceiling: null, fraction: null, verdict: "" };

/** The row of an entry, and those on its solver. */
export async function measureEntry(
  entry: Entry,
  contestants: Contestants,
  options: MeasureOptions,
): Promise<readonly MeasuredRow[]> {
  if (!("samples" in entry)) return race(entry, contestants, options);
  const samples = await entry.samples(Math.min(5, options.samples));
  return [{ work: entry.name, unit: entry.unit, ours: median(samples), ...noRow }];
}

async function race(
  entry: Race,
  { ours, peers, ceilings }: Contestants,
  options: MeasureOptions,
): Promise<readonly MeasuredRow[]> {
  const { on = "1 thread", against, fewest = options.fewest } = entry;
  // Processor time adds up over threads.
  const clock = on === "2 threads" ? "wall" : options.clock;
  const disposables: Task[] = [];
  try {
    const prepare = async (framework: Framework, work: Work): Promise<Task | undefined> => {
      const task = await framework.prepare(work);
      if (task !== undefined) disposables.push(task);
      return task;
    };
    const framework = await ours.on(on);
    const prepareOurs = async (work: Work): Promise<Task> => {
      const task = await prepare(framework, work);
      if (task === undefined) throw new Error(`we do not offer ${work.kind}, for ${entry.name}`);
      return task;
    };
    const opened = async (peer: Setting | Framework): Promise<Framework> =>
      typeof peer === "string" ? ours.on(peer) : peer;
    const mine = await prepareOurs(entry.work);
    const rivals: { name: string; task: Task }[] = [];
    for (const peer of against === undefined ? peers : await Promise.all(against.map(opened))) {
      const task = await prepare(peer, entry.work);
      if (task === undefined) continue;
      await requireSameResult(entry.name, peer.name, mine, task);
      rivals.push({ name: peer.name, task });
    }
    const limits: { task: Task; scale: number }[] = [];
    for (const limit of limitsOf(entry, ceilings)) limits.push(await taskOf(limit, prepareOurs));
    const contestants = [mine, ...[...rivals, ...limits].map(({ task }) => task)];
    const samples = await interleave(contestants, { ...options, fewest, clock });
    const times = samples.map((of) => of.map((sample) => sample[clock]));
    const [own = [], ...others] = times;
    const rivalTimes = rivals.map(({ name }, i) => ({ name, times: others[i] ?? [] }));
    const best = rivalTimes.reduce<(typeof rivalTimes)[number] | undefined>(
      (best, rival) => (best === undefined || median(rival.times) < median(best.times) ? rival : best),
      undefined,
    );
    const show = shower(entry);
    const limitTimes = limits.map(({ scale }, i) => scale * median(others[rivals.length + i] ?? []));
    const least = leastTime(entry, limitTimes, samples[0] ?? []);
    return [
      {
        work: entry.name,
        unit: entry.unit,
        ours: show(median(own)),
        peers: Object.fromEntries(rivalTimes.map(({ name, times }) => [name, show(median(times))])),
        ratio: best === undefined ? null : median(best.times) / median(own),
        ceiling: entry.ceiling === undefined ? null : { name: entry.ceiling.name, value: show(least) },
        fraction: entry.ceiling === undefined ? null : least / median(own),
        verdict: best === undefined ? "" : verdict(own, best.times),
      },
      ...(entry.iterations === true ? await solverRows(entry.name, mine, rivals) : []),
    ];
  } finally {
    for (const task of disposables) task.dispose?.();
  }
}

async function solverRows(
  name: string,
  ours: Task,
  rivals: readonly { readonly name: string; readonly task: Task }[],
): Promise<readonly MeasuredRow[]> {
  const report = await ours.iterations?.();
  if (report === undefined) return [];
  const peers: Record<string, number> = {};
  for (const { name, task } of rivals) {
    const theirs = await task.iterations?.();
    if (theirs !== undefined) peers[name] = theirs.mean;
  }
  const rows: MeasuredRow[] = [{ work: `${name}, solver`, unit: "iterations", ours: report.mean, ...noRow, peers }];
  if (report.unsolved > 0) {
    rows.push({ work: `${name}, unsolved`, unit: "sequences", ours: report.unsolved, ...noRow });
  }
  return rows;
}

function limitsOf({ ceiling }: Race, ceilings: Ceilings): readonly Limit[] {
  return ceiling !== undefined && "of" in ceiling ? ceiling.of(ceilings) : [];
}

/** The task of a limit, and by how much its time has to be multiplied. */
async function taskOf(limit: Limit, prepare: (work: Work) => Promise<Task>): Promise<{ task: Task; scale: number }> {
  if ("run" in limit) return { task: limit, scale: 1 };
  if ("kind" in limit) return { task: await prepare(limit), scale: 1 };
  const task = await prepare(limit.work);
  // As long as the work itself, so that both are interrupted as often.
  const runs = Math.max(1, Math.round(limit.times));
  const run = async (): Promise<void> => {
    for (let i = 0; i < runs; i++) await task.run();
  };
  return { task: { run }, scale: limit.times / runs };
}

function leastTime({ ceiling }: Race, limits: readonly number[], own: readonly Sample[]): number {
  if (ceiling !== undefined && "threads" in ceiling) return median(own.map(({ cpu }) => cpu)) / ceiling.threads;
  return Math.max(...limits);
}

/** From milliseconds a run to the row's unit. */
function shower({ unit, work, steps = 1 }: Race): (milliseconds: number) => number {
  switch (unit) {
    case "ms":
      return (ms) => ms / steps;
    case "us":
      return (ms) => (1000 * ms) / steps;
    case "GFLOP/s": {
      if (work.kind !== "gemm" && work.kind !== "batched-gemm") throw new Error(`no count of operations: ${work.kind}`);
      const flops = flopsOf(work);
      return (ms) => flops / 1e6 / ms;
    }
    case "iterations":
    case "sequences":
    case "relative":
      throw new Error(`a race is not measured in the unit ${unit}`);
  }
}

/** benchmark.js tells the samples apart by a Mann-Whitney U test at 5 %; it runs one contestant after the other, so we do not let it run them. */
function verdict(ours: readonly number[], peer: readonly number[]): string {
  const [a, b] = [ours, peer].map((samples) => {
    const bench = new Benchmark(() => undefined);
    bench.stats.sample = [...samples];
    // compare() takes benchmarks that have not run for equal.
    bench.stats.mean = samples.reduce((sum, x) => sum + x, 0) / samples.length;
    bench.cycles = samples.length;
    return bench;
  });
  if (a === undefined || b === undefined || ours.length < 3 || peer.length < 3) return "?";
  const order = (a as unknown as { compare(other: Benchmark): number }).compare(b);
  return order > 0 ? "win" : order < 0 ? "LOSS" : "even";
}

/** Relative to the largest element: frameworks sum in other orders and have other exponentials. */
const tolerance = 1e-3;

async function requireSameResult(name: string, peer: string, ours: Task, theirs: Task): Promise<void> {
  if (ours.result === undefined || theirs.result === undefined) return;
  const [a, b] = [await ours.result(), await theirs.result()];
  let [largest, difference] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    const [x = Number.NaN, y = Number.NaN] = [a[i], b[i]];
    largest = Math.max(largest, Math.abs(x));
    if (!(Math.abs(x - y) <= difference)) difference = Math.abs(x - y);
  }
  if (a.length !== b.length || !(difference <= tolerance * largest)) {
    throw new Error(`${name}: ${peer} gives another result: ${b.length} elements, off by ${difference} of ${largest}`);
  }
}
