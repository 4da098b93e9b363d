/** Suites: lists of rows, and how a row is measured. */
import Benchmark from "benchmark";
import type { Ceilings } from "./ceilings.ts";
import type { Framework, Task } from "./framework.ts";
import { interleave, type MeasureOptions, median } from "./measure.ts";
import type { Row } from "./report.ts";
import { flopsOf, type Work } from "./work.ts";

export interface Contestants {
  readonly ours: Framework;
  readonly peers: readonly Framework[];
  readonly ceilings: Ceilings;
}

/** Work that frameworks race at. */
export interface Race {
  readonly name: string;
  readonly unit: Row["unit"];
  readonly work: Work;
  /** The time reported is of one of so many steps. */
  readonly steps?: number;
  /** The slowest of these tasks is the least time the work can take; a work is one of our own programs. */
  readonly ceiling?: { readonly name: string; readonly of: (ceilings: Ceilings) => readonly (Task | Work)[] };
}

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

export async function measureEntry(
  entry: Entry,
  contestants: Contestants,
  options: MeasureOptions,
): Promise<MeasuredRow> {
  if (!("samples" in entry)) return race(entry, contestants, options);
  const samples = await entry.samples(Math.min(5, options.samples));
  return { work: entry.name, unit: entry.unit, ours: median(samples), ...noRow };
}

async function race(
  entry: Race,
  { ours, peers, ceilings }: Contestants,
  options: MeasureOptions,
): Promise<MeasuredRow> {
  const disposables: Task[] = [];
  try {
    const prepare = async (framework: Framework, work: Work): Promise<Task | undefined> => {
      const task = await framework.prepare(work);
      if (task !== undefined) disposables.push(task);
      return task;
    };
    const mine = await prepare(ours, entry.work);
    if (mine === undefined) throw new Error(`${ours.name} does not offer ${entry.name}`);
    const rivals: { name: string; task: Task }[] = [];
    for (const peer of peers) {
      const task = await prepare(peer, entry.work);
      if (task === undefined) continue;
      await requireSameResult(entry.name, peer.name, mine, task);
      rivals.push({ name: peer.name, task });
    }
    const limits: Task[] = [];
    for (const limit of entry.ceiling?.of(ceilings) ?? []) {
      const task = "kind" in limit ? await prepare(ours, limit) : limit;
      if (task !== undefined) limits.push(task);
    }
    const samples = await interleave([mine, ...rivals.map(({ task }) => task), ...limits], options);
    const [own = [], ...others] = samples;
    const rivalSamples = rivals.map(({ name }, i) => ({ name, samples: others[i] ?? [] }));
    const best = rivalSamples.reduce<(typeof rivalSamples)[number] | undefined>(
      (best, rival) => (best === undefined || median(rival.samples) < median(best.samples) ? rival : best),
      undefined,
    );
    const show = shower(entry);
    const least = Math.max(...others.slice(rivals.length).map(median));
    return {
      work: entry.name,
      unit: entry.unit,
      ours: show(median(own)),
      peers: Object.fromEntries(rivalSamples.map(({ name, samples }) => [name, show(median(samples))])),
      ratio: best === undefined ? null : median(best.samples) / median(own),
      ceiling: entry.ceiling === undefined ? null : { name: entry.ceiling.name, value: show(least) },
      fraction: entry.ceiling === undefined ? null : least / median(own),
      verdict: best === undefined ? "" : verdict(own, best.samples),
    };
  } finally {
    for (const task of disposables) task.dispose?.();
  }
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
