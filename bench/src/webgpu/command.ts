/** `npm run bench -- --suite webgpu`: in Node, or with --page on a page of a browser. */
import { loadavg } from "node:os";
import type { Clock, MeasureOptions } from "../measure.ts";
import { machine, type Report, type Row } from "../report.ts";
import { type MeasuredRow, rowsOf } from "../suite.ts";
import { text } from "../text.ts";
import { runInPage } from "./in-page.ts";
import { measureWebgpu, type WebgpuOrder, type WebgpuResults } from "./measure.ts";
import { type SentRow, sentRows, sentTable, type Wanted, wantedOf, wantedTable } from "./report.ts";
import { leftOut, webgpuSuite } from "./suite.ts";

/** What only modules outside the bundle can do, see page.mjs. */
export interface WebgpuTools {
  /** Returns what is wrong. */
  readonly useVulkanDriver: () => string | undefined;
  readonly bundlePage: () => Promise<Uint8Array>;
  readonly openChromium: (url: string) => Promise<() => Promise<void>>;
}

export interface WebgpuCommand {
  readonly groups: readonly string[] | undefined;
  readonly tiny: boolean;
  readonly timestamps: boolean;
  /** Nowhere else than on a page; "hand" waits for someone to open it. */
  readonly page: "no" | "chromium" | "hand";
  /** Of the peers; null for none. */
  readonly versions: Readonly<Record<"jax-js" | "tfjs", string>> | null;
  readonly measuring: MeasureOptions;
  readonly onRow: (name: string) => void;
}

export interface WebgpuReport extends Report {
  readonly machine: Report["machine"] & { readonly adapter: string; readonly where: string };
  readonly sent: readonly SentRow[];
  readonly wanted: readonly Wanted[];
  /** By timestamps: GFLOP/s of multiplications in registers, and GB/s of a copy; null without them. */
  readonly device: WebgpuResults["device"];
  readonly notes: readonly string[];
}

export const webgpuGroups: readonly string[] = Object.keys(webgpuSuite("tiny"));

export interface WebgpuOutcome {
  readonly report: WebgpuReport;
  readonly rows: readonly MeasuredRow[];
}

export async function runWebgpu(command: WebgpuCommand, tools: WebgpuTools): Promise<WebgpuOutcome> {
  const { groups, tiny, timestamps, page, versions, measuring, onRow } = command;
  const order: WebgpuOrder = { tiny, timestamps, measuring, ...(groups && { groups }) };
  const before = loadavg();
  const outcome = (results: WebgpuResults): WebgpuOutcome => outcomeOf(command, results, before);
  if (page === "no") {
    const problem = tools.useVulkanDriver();
    if (problem !== undefined) throw new Error(problem);
    const { peersInNode, provideWebgpu } = await import("./in-node.ts");
    await provideWebgpu();
    return outcome(await measureWebgpu(order, versions === null ? [] : peersInNode(versions), onRow));
  }
  const byHand = (url: string): Promise<() => Promise<void>> => {
    console.error(`open ${url} in a browser of this machine`);
    return Promise.resolve(() => Promise.resolve());
  };
  const results = await runInPage({
    order: { ...order, versions },
    script: await tools.bundlePage(),
    open: page === "hand" ? byHand : tools.openChromium,
    onRow,
    show: (results) => webgpuText(outcome(results)),
  });
  return outcome(results);
}

function outcomeOf(command: WebgpuCommand, results: WebgpuResults, before: readonly number[]): WebgpuOutcome {
  const { measuring, page } = command;
  const entries = Object.values(webgpuSuite(results.scale)).flat();
  const rows = results.races.flatMap(({ name, raced }) => {
    const entry = entries.find((entry) => entry.name === name);
    return entry === undefined ? [] : rowsOf(entry, raced, measuring);
  });
  const sent = sentRows(results);
  const missing = leftOut(results.scale);
  const clock: Clock = measuring.clock;
  const [adapter = "none", ...others] = results.adapters;
  const notes = [
    ...(missing === null ? [] : [missing]),
    ...(others.length === 0 ? [] : [`not everybody has the same adapter: ${results.adapters.join(", ")}`]),
    ...results.notes,
  ];
  const report: WebgpuReport = {
    machine: {
      ...machine(before, clock, results.peers),
      adapter,
      where: page === "no" ? "Node" : page === "chromium" ? "a page in Chromium" : "a page",
    },
    suite: "webgpu",
    rows: rows.map(({ verdict: _, ...row }): Row => row),
    sent,
    wanted: wantedOf(rows, sent),
    device: results.device,
    notes,
  };
  return { report, rows };
}

export function webgpuText({ report, rows }: WebgpuOutcome): string {
  const { machine: on, sent, wanted, notes, device } = report;
  return [
    text(report, rows),
    "",
    `${on.where}, ${on.adapter}`,
    ...(device === null
      ? []
      : [
          `by timestamps: ${device.mulAdd.toFixed(0)} GFLOP/s of fma in registers, ${device.copy.toFixed(1)} GB/s copied`,
        ]),
    ...notes,
    "",
    sentTable(sent),
    "",
    wantedTable(wanted),
  ].join("\n");
}
