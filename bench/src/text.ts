/** What a person reads of a suite. */
import { type Report, table } from "./report.ts";
import type { MeasuredRow } from "./suite.ts";

export function text({ machine, suite }: Report, rows: readonly MeasuredRow[]): string {
  const load = (values: readonly number[]): string => values.map((value) => value.toFixed(1)).join(" ");
  const versions = Object.entries(machine.versions).map(([name, version]) => `${name} ${version}`);
  const lost = rows
    .filter(({ ratio }) => ratio !== null && ratio < 1)
    .map(({ work, ratio }) => `${work} (${ratio?.toFixed(2) ?? ""})`);
  return [
    `suite ${suite}: medians of interleaved samples, ${machine.clock} time; ratio = best peer's time / ours`,
    `${machine.cpu}, ${machine.cores} cores, Node ${machine.node} (V8 ${machine.v8}), load ${load(machine.loadBefore)} -> ${load(machine.loadAfter)}`,
    ...(versions.length > 0 ? [versions.join(", ")] : []),
    "",
    table(rows),
    "",
    lost.length > 0 ? `slower than a peer: ${lost.join(", ")}` : "slower than a peer: none",
  ].join("\n");
}
