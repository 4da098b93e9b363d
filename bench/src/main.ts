/** The command: npm run bench -- --suite wasm|fprnn [--json] [--only gemm,mlp] [--samples 21] [--clock cpu] [--tiny]. */
import { loadavg } from "node:os";
import { parseArgs } from "node:util";
import manifest from "../package.json" with { type: "json" };
import { ceilings } from "./ceilings.ts";
import { ourDevices } from "./devices.ts";
import type { Framework } from "./framework.ts";
import type { Clock, MeasureOptions } from "./measure.ts";
import { findPyTorch } from "./pytorch.ts";
import { offersRelaxedSimd } from "./relaxed.ts";
import { machine, type Report, type Row, table } from "./report.ts";
import { measureEntry, type MeasuredRow } from "./suite.ts";
import { fprnnSuite } from "./suite-fprnn.ts";
import { wasmSuite } from "./suite-wasm.ts";

export { probeCompile } from "./compile.ts";

const usage = `Usage: npm run bench -- --suite wasm [options]
  --suite name     wasm (default): the backend next to other frameworks; fprnn: solvers, tokens, and PyTorch
  --only a,b       groups of rows alone; --list names them
  --json           one JSON object in the place of the table
  --samples N      samples of each contestant at most (default: 21)
  --clock cpu      measure processor time in the place of time on the wall: for busy machines
  --no-peers       only ours and the ceilings
  --tiny           sizes that take no time, to test the bench itself
  --list           the groups of the suite`;

class UsageError extends Error {}

export async function main(): Promise<void> {
  try {
    await run();
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
        list: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

async function run(): Promise<void> {
  const { suite: name, tiny, json, ...given } = options();
  if (given.help) {
    console.log(usage);
    return;
  }
  if (name !== "wasm" && name !== "fprnn") {
    throw new UsageError(`there is no suite ${name}; there are wasm and fprnn`);
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
  const samples = Number(given.samples);
  if (!Number.isInteger(samples) || samples < 1) throw new UsageError("--samples takes a positive integer");
  if (given.clock !== "wall" && given.clock !== "cpu") throw new UsageError("--clock takes wall or cpu");
  const clock: Clock = given.clock;

  const before = loadavg();
  await using ours = ourDevices();
  const peers = given["no-peers"] || name !== "wasm" ? [] : await startPeers();
  const contestants = { ours, peers, ceilings: await ceilings() };
  const measuring: MeasureOptions = {
    clock,
    samples,
    fewest: Math.min(3, samples),
    warmUp: tiny ? 0 : 200,
    sampleTime: tiny ? 0 : 5,
    budget: 2000,
  };
  const rows: MeasuredRow[] = [];
  for (const entry of entries) {
    if (process.stderr.isTTY) process.stderr.write(`\r\u001B[K${entry.name} …`);
    rows.push(...(await measureEntry(entry, contestants, measuring)));
  }
  if (process.stderr.isTTY) process.stderr.write("\r\u001B[K");

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

function text({ machine, suite }: Report, rows: readonly MeasuredRow[]): string {
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
