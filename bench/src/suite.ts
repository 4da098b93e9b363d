/** Suites: lists of entries, and the rows of a report that come of them. */
import Benchmark from "benchmark";
import type { MeasureOptions, Sample } from "./measure.ts";
import { median } from "./measure.ts";
import { clockOf, type Contestants, type Entry, race, type Race, type Raced } from "./race.ts";
import type { Row } from "./report.ts";
import { flopsOf } from "./work.ts";

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
  if (!("samples" in entry)) return rowsOf(entry, await race(entry, contestants, options), options);
  const samples = await entry.samples(Math.min(5, options.samples));
  return [{ work: entry.name, unit: entry.unit, ours: median(samples), ...noRow }];
}

/** The row of a race, and those on its solver. */
export function rowsOf(entry: Race, raced: Raced<unknown>, options: MeasureOptions): readonly MeasuredRow[] {
  const clock = clockOf(entry, options);
  const own = raced.ours.samples.map((sample) => sample[clock]);
  const rivals = raced.rivals.map(({ name, samples }) => ({ name, times: samples.map((sample) => sample[clock]) }));
  const best = rivals.reduce<(typeof rivals)[number] | undefined>(
    (best, rival) => (best === undefined || median(rival.times) < median(best.times) ? rival : best),
    undefined,
  );
  const show = shower(entry);
  const least = leastTime(entry, raced.limits, raced.ours.samples);
  return [
    {
      work: entry.name,
      unit: entry.unit,
      ours: show(median(own)),
      peers: Object.fromEntries(rivals.map(({ name, times }) => [name, show(median(times))])),
      ratio: best === undefined ? null : median(best.times) / median(own),
      ceiling: entry.ceiling === undefined ? null : { name: entry.ceiling.name, value: show(least) },
      fraction: entry.ceiling === undefined ? null : least / median(own),
      verdict: best === undefined ? "" : verdict(own, best.times),
    },
    ...solverRows(entry.name, raced),
  ];
}

function solverRows(name: string, { ours, rivals }: Raced<unknown>): readonly MeasuredRow[] {
  const { solver } = ours;
  if (solver === undefined) return [];
  const peers = Object.fromEntries(
    rivals.flatMap((rival) => (rival.solver === undefined ? [] : [[rival.name, rival.solver.mean] as const])),
  );
  const rows: MeasuredRow[] = [{ work: `${name}, solver`, unit: "iterations", ours: solver.mean, ...noRow, peers }];
  if (solver.unsolved > 0) {
    rows.push({ work: `${name}, unsolved`, unit: "sequences", ours: solver.unsolved, ...noRow });
  }
  return rows;
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
