/**
 * The word problem of A5 learnt with two gradients, from the same parameters on the same batches: the authors', truncated
 * after one step, and the one through time. Prints a table and draws docs/figures/adjoints-a5.svg.
 * Usage: node scripts/run-ts.mjs bench/src/adjoints-a5.ts [--steps 2500] [--every 125] [--seed 0]
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { Device } from "@banach/autograd";
import { wasm } from "@banach/backend-wasm";
import * as vega from "vega";
import { compile, type TopLevelSpec } from "vega-lite";
import { a5Plan, buildRun, evaluate, type RunPlan, type StepEvent, train } from "@banach/tasks";

/** Lengths that the curves show: the trained one, and five times it. */
const LENGTHS = [16, 80];

const ADJOINTS = {
  "throughTime()": { kind: "through-time" },
  "truncated({ steps: 1 })": { kind: "truncated", steps: 1 },
} as const;

type AdjointName = keyof typeof ADJOINTS;

interface Point {
  readonly adjoint: AdjointName;
  readonly step: number;
  /** Of training alone. */
  readonly seconds: number;
  readonly length: number;
  /** Percent of tokens. */
  readonly accuracy: number;
}

interface Options {
  readonly every: number;
  readonly seed: number;
  /** Training goes on until both are reached. */
  readonly until: { readonly steps: number; readonly seconds: number };
}

async function curve(device: Device, name: AdjointName, { every, seed, until }: Options): Promise<Point[]> {
  const plan: RunPlan = a5Plan(seed);
  if (plan.model.kind !== "fp-mamba") throw new Error("the story of A5 has another layer now; adapt this figure");
  const parts = buildRun({ ...plan, model: { ...plan.model, adjoint: ADJOINTS[name] } });
  const points: Point[] = [];
  const aside = { seconds: 0 };
  const enough = new AbortController();
  const look = async ({ counters, seconds, snapshot }: StepEvent): Promise<void> => {
    const training = seconds - aside.seconds;
    if (counters.step >= until.steps && training >= until.seconds) enough.abort();
    if (counters.step % every !== 0) return;
    const startedAt = performance.now();
    const { params, key } = await snapshot();
    const variants = [{ label: name, model: parts.model }];
    const rows = await evaluate({
      task: parts.task,
      variants,
      params,
      device,
      key,
      lengths: LENGTHS,
      batch: 256,
      batches: 1,
    });
    for (const { length, tokenAccuracy } of rows) {
      points.push({ adjoint: name, step: counters.step, seconds: training, length, accuracy: 100 * tokenAccuracy });
    }
    console.error(
      `${name} step ${counters.step}, ${training.toFixed(0)} s: ${rows.map(({ tokenAccuracy }) => (100 * tokenAccuracy).toFixed(1)).join(" and ")} %`,
    );
    aside.seconds += (performance.now() - startedAt) / 1000;
  };
  await train({
    ...parts,
    device,
    seed,
    clip: plan.optimizer.clip,
    steps: 100_000,
    signal: enough.signal,
    onStep: look,
  });
  return points;
}

/** The last accuracy not after a step or a time. */
function before(points: readonly Point[], length: number, limit: Partial<Record<"step" | "seconds", number>>): string {
  const { step = Infinity, seconds = Infinity } = limit;
  const last = points.filter((p) => p.length === length && p.step <= step && p.seconds <= seconds).at(-1);
  return last === undefined ? "-" : `${last.accuracy.toFixed(1)} %`;
}

function table(curves: Readonly<Record<AdjointName, readonly Point[]>>, steps: number): string[] {
  const end = Math.min(...Object.values(curves).map((points) => points.at(-1)?.seconds ?? 0));
  const limits = [0.25, 0.5, 1].flatMap((share): (readonly [string, Parameters<typeof before>[2]])[] => [
    [`${share * steps} steps`, { step: share * steps }],
    [`${(share * end).toFixed(0)} s`, { seconds: share * end }],
  ]);
  const cells = (points: readonly Point[], limit: Parameters<typeof before>[2]): string[] =>
    LENGTHS.map((length) => before(points, length, limit));
  const rows = limits.map(([what, limit]) => [
    what,
    ...Object.values(curves).flatMap((points) => cells(points, limit)),
  ]);
  const names = Object.keys(curves).flatMap((name) => LENGTHS.map((length) => `\`${name}\` at ${length}`));
  const line = (texts: readonly string[]): string => `| ${texts.join(" | ")} |`;
  return [line(["after", ...names]), line(["---", ...names.map(() => "---")]), ...rows.map(line)];
}

/** Two panels, over steps and over seconds. */
function figure(points: readonly Point[]): TopLevelSpec {
  const panel = (field: "step" | "seconds", title: string) => ({
    width: 340,
    height: 240,
    mark: { type: "line" as const, strokeWidth: 2 },
    encoding: {
      x: { field, type: "quantitative" as const, title, scale: { zero: true } },
      y: { field: "accuracy", type: "quantitative" as const, title: "tokens right, %", scale: { domain: [0, 100] } },
      color: {
        field: "adjoint",
        type: "nominal" as const,
        title: null,
        legend: { orient: "top" as const, labelLimit: 300 },
      },
      strokeDash: { field: "length", type: "nominal" as const, title: "length", legend: { orient: "top" as const } },
    },
  });
  return {
    data: { values: [...points] },
    background: "white",
    hconcat: [panel("step", "training steps"), panel("seconds", "seconds of training, two threads")],
  };
}

async function draw(points: readonly Point[], path: string): Promise<void> {
  const view = new vega.View(vega.parse(compile(figure(points)).spec), { renderer: "none" });
  mkdirSync(fileURLToPath(new URL(".", `file://${path}`)), { recursive: true });
  writeFileSync(path, `${await view.toSVG()}\n`);
}

const { values } = parseArgs({
  options: {
    steps: { type: "string", default: "2500" },
    every: { type: "string", default: "125" },
    seed: { type: "string", default: "0" },
  },
});
const [steps, every, seed] = [Number(values.steps), Number(values.every), Number(values.seed)];
await using device = await wasm();
const through = await curve(device, "throughTime()", { every, seed, until: { steps, seconds: 0 } });
const seconds = through.at(-1)?.seconds ?? 0;
const truncated = await curve(device, "truncated({ steps: 1 })", { every, seed, until: { steps, seconds } });
console.log(table({ "throughTime()": through, "truncated({ steps: 1 })": truncated }, steps).join("\n"));
const path = fileURLToPath(new URL("../../docs/figures/adjoints-a5.svg", import.meta.url));
await draw([...through, ...truncated], path);
console.log(`\n${path}`);
