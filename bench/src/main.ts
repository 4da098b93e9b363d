/** The command: npm run bench -- --suite wasm|fprnn|webgpu [--json] [--only gemm,mlp] [--samples 21] [--clock cpu] [--tiny]. */
import { loadavg } from "node:os";
import { parseArgs } from "node:util";
import manifest from "../package.json" with { type: "json" };
import { ceilings } from "./ceilings.ts";
import { ourDevices } from "./devices.ts";
import type { Framework } from "./framework.ts";
import type { Clock, MeasureOptions } from "./measure.ts";
import { findPyTorch } from "./pytorch.ts";
import { offersRelaxedSimd } from "./relaxed.ts";
import { machine, type Report, type Row } from "./report.ts";
import { measureEntry, type MeasuredRow } from "./suite.ts";
import { fprnnSuite } from "./suite-fprnn.ts";
import { wasmSuite } from "./suite-wasm.ts";
import { text } from "./text.ts";
import { runWebgpu, webgpuGroups, webgpuText, type WebgpuTools } from "./webgpu/command.ts";

export { probeCompile } from "./compile.ts";

const usage = `Usage: npm run bench -- --suite wasm [options]
  --suite name     wasm (default), webgpu: a backend next to other frameworks; fprnn: solvers, tokens, and PyTorch
  --only a,b       groups of rows alone; --list names them
  --json           one JSON object in the place of the table
  --samples N      samples of each contestant at most (default: 21)
  --clock cpu      measure processor time in the place of time on the wall: for busy machines
  --no-peers       only ours and the ceilings
  --tiny           sizes that take no time, to test the bench itself
  --list           the groups of the suite
of the suite webgpu alone:
  --page           on a page in Chromium in the place of Node
  --by-hand        on a page that you open in a browser of your own
  --timestamps     time on the device as well, and shares of what the device can do`;

class UsageError extends Error {}

export async function main(tools: WebgpuTools): Promise<void> {
  try {
    await run(tools);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`bench: ${error.message}\n\n${usage}`);
    process.exitCode = 2;
  }
}

function options() {
  try {
    return parseArgs({
      options: {
        suite: { type: "string", default: "wasm" },
        only: { type: "string" },
        json: { type: "boolean", default: false },
        samples: { type: "string", default: "21" },
        clock: { type: "string", default: "wall" },
        "no-peers": { type: "boolean", default: false },
        tiny: { type: "boolean", default: false },
        page: { type: "boolean", default: false },
        "by-hand": { type: "boolean", default: false },
        timestamps: { type: "boolean", default: false },
        list: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

async function run(tools: WebgpuTools): Promise<void> {
  const { suite: name, tiny, json, ...given } = options();
  if (given.help) {
    console.log(usage);
    return;
  }
  if (name !== "wasm" && name !== "fprnn" && name !== "webgpu") {
    throw new UsageError(`there is no suite ${name}; there are wasm, fprnn and webgpu`);
  }
  const samples = Number(given.samples);
  if (!Number.isInteger(samples) || samples < 1) throw new UsageError("--samples takes a positive integer");
  if (given.clock !== "wall" && given.clock !== "cpu") throw new UsageError("--clock takes wall or cpu");
  const clock: Clock = given.clock;
  const measuring: MeasureOptions = {
    clock,
    samples,
    fewest: Math.min(3, samples),
    warmUp: tiny ? 0 : 200,
    sampleTime: tiny ? 0 : 5,
    budget: 2000,
  };
  if (name === "webgpu") {
    if (clock !== "wall") throw new UsageError("the suite webgpu goes by the clock on the wall");
    await webgpu(given, { tiny, json, measuring }, tools);
    return;
  }
  if (given.page || given["by-hand"] || given.timestamps) {
    throw new UsageError("--page, --by-hand and --timestamps are of the suite webgpu");
  }
  const relaxed = await offersRelaxedSimd();
  const asksPyTorch = name === "fprnn" && !given.list && !given["no-peers"] && /pytorch|^$/.test(given.only ?? "");
  await using pytorch = asksPyTorch ? await findPyTorch() : null;
  const suite = name === "wasm" ? wasmSuite({ tiny, relaxed }) : fprnnSuite({ tiny, relaxed, pytorch });
  if (given.list) {
    console.log(Object.keys(suite).join("\n"));
    return;
  }
  const groups = given.only?.split(",") ?? Object.keys(suite);
  const entries = groups.flatMap((group) => {
    const entries = suite[group];
    if (entries === undefined) throw new UsageError(`no group ${group} in ${Object.keys(suite).join(", ")}`);
    return entries;
  });
  const before = loadavg();
  await using ours = ourDevices();
  const peers = given["no-peers"] || name !== "wasm" ? [] : await startPeers();
  const contestants = { ours, peers, ceilings: await ceilings() };
  const rows: MeasuredRow[] = [];
  for (const entry of entries) {
    showProgress(entry.name);
    rows.push(...(await measureEntry(entry, contestants, measuring)));
  }
  showProgress(null);

  const measured = pytorch ? [...peers, pytorch] : peers;
  const versions = Object.fromEntries(measured.map((peer) => [peer.name, peer.version]));
  const report: Report = {
    machine: machine(before, clock, versions),
    suite: name,
    rows: rows.map(({ verdict: _, ...row }): Row => row),
  };
  if (json) console.log(JSON.stringify(report, null, 2));
  else console.log(text(report, rows));
}

async function webgpu(
  given: Omit<ReturnType<typeof options>, "suite" | "json" | "tiny">,
  { tiny, json, measuring }: { readonly tiny: boolean; readonly json: boolean; readonly measuring: MeasureOptions },
  tools: WebgpuTools,
): Promise<void> {
  if (given.list) {
    console.log(webgpuGroups.join("\n"));
    return;
  }
  const groups = given.only?.split(",");
  const unknown = groups?.find((group) => !webgpuGroups.includes(group));
  if (unknown !== undefined) throw new UsageError(`no group ${unknown} in ${webgpuGroups.join(", ")}`);
  const { devDependencies: versions } = manifest;
  const outcome = await runWebgpu(
    {
      groups,
      tiny,
      timestamps: given.timestamps,
      page: given["by-hand"] ? "hand" : given.page ? "chromium" : "no",
      versions: given["no-peers"]
        ? null
        : { "jax-js": versions["@jax-js/jax"], tfjs: versions["@tensorflow/tfjs-core"] },
      measuring,
      onRow: showProgress,
    },
    tools,
  );
  showProgress(null);
  console.log(json ? JSON.stringify(outcome.report, null, 2) : webgpuText(outcome));
}

/** Which row is being measured, in a line that is written over; null in the end. */
function showProgress(name: string | null): void {
  if (process.stderr.isTTY) process.stderr.write(name === null ? "\r\u001B[K" : `\r\u001B[K${name} …`);
}

/** One file of peers/ and one line here for each. Loaded only when they are measured. */
async function startPeers(): Promise<Framework[]> {
  const { devDependencies: versions } = manifest;
  const { jaxJs } = await import("./peers/jax-js.ts");
  const { tfjs } = await import("./peers/tfjs.ts");
  const { onnxruntimeWeb } = await import("./peers/onnxruntime-web.ts");
  return [
    await jaxJs(versions["@jax-js/jax"]),
    await tfjs(versions["@tensorflow/tfjs-core"]),
    onnxruntimeWeb(versions["onnxruntime-web"]),
  ];
}
