/** What a run of a suite reports, as data and as a table. */
import { cpus, loadavg, totalmem } from "node:os";
import type { Clock } from "./measure.ts";

export interface Row {
  readonly work: string;
  readonly unit: "GFLOP/s" | "ms" | "us" | "iterations" | "sequences" | "relative";
  /** Medians, in the unit. */
  readonly ours: number;
  readonly peers: Readonly<Record<string, number>>;
  /** The best peer's time over ours: above 1 is faster. null without a peer. */
  readonly ratio: number | null;
  /** The best that was thought possible, measured in the same run. */
  readonly ceiling: { readonly name: string; readonly value: number } | null;
  /** Share of the ceiling reached. */
  readonly fraction: number | null;
}

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly platform: string;
  readonly node: string;
  readonly v8: string;
  /** Over 1, 5 and 15 minutes, when the run began and when it ended. */
  readonly loadBefore: readonly number[];
  readonly loadAfter: readonly number[];
  readonly clock: Clock;
  /** Versions of the frameworks measured. */
  readonly versions: Readonly<Record<string, string>>;
}

export interface Report {
  readonly machine: Machine;
  readonly suite: string;
  readonly rows: readonly Row[];
}

export function machine(before: readonly number[], clock: Clock, versions: Readonly<Record<string, string>>): Machine {
  const [first] = cpus();
  return {
    cpu: first?.model.trim() ?? "unknown",
    cores: cpus().length,
    memoryBytes: totalmem(),
    platform: `${process.platform} ${process.arch}`,
    node: process.versions.node,
    v8: process.versions.v8,
    loadBefore: before,
    loadAfter: loadavg(),
    clock,
    versions,
  };
}

export const digits = (value: number): string =>
  value > 0 && value < 1e-3
    ? value.toExponential(1)
    : value >= 100
      ? value.toFixed(0)
      : value >= 10
        ? value.toFixed(1)
        : value >= 1
          ? value.toFixed(2)
          : value.toFixed(3);

/** One line per row: work, unit, ours, each peer, the ratio with what it means, the ceiling and the share of it. */
export function table(rows: readonly (Row & { readonly verdict: string })[]): string {
  const peers = [...new Set(rows.flatMap((row) => Object.keys(row.peers)))];
  const header = ["work", "unit", "ours", ...peers, "ratio", "", "of ceiling", "ceiling"];
  const body = rows.map((row) => [
    row.work,
    row.unit,
    digits(row.ours),
    ...peers.map((name) => (row.peers[name] === undefined ? "-" : digits(row.peers[name]))),
    row.ratio === null ? "-" : row.ratio.toFixed(2),
    row.verdict,
    row.fraction === null ? "-" : `${(100 * row.fraction).toFixed(0)} %`,
    row.ceiling === null ? "" : `${digits(row.ceiling.value)} ${row.ceiling.name}`,
  ]);
  return aligned([header, ...body], [0, 1, header.length - 3, header.length - 1]);
}

/** Lines of cells, the first of them the header, in columns that are flush right but for those named. */
export function aligned(lines: readonly (readonly string[])[], flushLeft: readonly number[]): string {
  const widths = (lines[0] ?? []).map((_, i) => Math.max(...lines.map((line) => line[i]?.length ?? 0)));
  const left = new Set(flushLeft);
  return lines
    .map((line) =>
      line
        .map((cell, i) => (left.has(i) ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
