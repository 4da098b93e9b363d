/**
 * Measures contractions, one thread: GFLOP/s (medians of rounds in which all take turns) and the share of a loop that only
 * multiplies and adds in registers. `node scripts/run-ts.mjs packages/backend-wasm/test/contract/measure.ts [--relaxed]
 * [--rounds=60] [--only=text] [--plans]`; `--plans` tries every way to pack.
 */
import type { Planner } from "../../src/contract/index.ts";
import { packingOf, planOf, tilePlan } from "../../src/contract/plan.ts";
import { multiplyAdd } from "../../src/contract/tile.ts";
import { f32x4, i32, ModuleBuilder, webAssembly } from "../../src/wasm/index.ts";
import type { Problem } from "./support.ts";
import { compile, matrices } from "./support.ts";

const args = process.argv.slice(2);
const option = (name: string): string | undefined =>
  args.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3);
const relaxed = args.includes("--relaxed");
const rounds = Number(option("rounds") ?? 60);
/** Milliseconds of a turn: short, so that on a busy machine some turns are undisturbed. */
const window = 1;
const only = option("only");

interface Work {
  readonly name: string;
  readonly flops: number;
  readonly run: () => void;
}

/** The arithmetic of a 4 x 8 tile without its memory: 8 sums of products that change each round, as one factor does. */
function ceiling(): Work {
  const steps = 40_000;
  const madd = multiplyAdd(relaxed);
  const m = new ModuleBuilder();
  m.export("memory", m.memory({ min: 1 }));
  const run = m.func("run", [], [], (f) => {
    const factors = [0.5, 0.25, 0.125, 0.75].map((value) => f.let(f32x4.splat(value)));
    const a = f.let(f32x4.splat(0.999));
    const b = f.let(f32x4.splat(-0.999));
    const sums = factors.flatMap((factor) => [a, b].map((by) => ({ sum: f.let(f32x4.splat(1)), factor, by })));
    const i = f.local("i32", steps);
    f.loop((again) => {
      for (const { sum, factor, by } of sums) f.set(sum, madd(by, factor, sum));
      // An exchange of names, not of values: a product that stayed the same would be moved out of the loop.
      const kept = f.let(a);
      f.set(a, b);
      f.set(b, kept);
      f.set(i, i32.sub(i, 1));
      f.brIf(again, i);
    });
    sums.forEach(({ sum }, at) => f.v128.store(0, sum, 16 * at));
  });
  m.export("run", run);
  const api = webAssembly();
  if (api === undefined) throw new Error("there is no WebAssembly here");
  const instance = new api.Instance(new api.Module(m.build()));
  return { name: "ceiling", flops: steps * 8 * 8, run: instance.exports["run"] as () => void };
}

const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);

function work(name: string, problem: Problem, planner?: Planner): Work {
  const running = compile(problem, { relaxed, ...(planner === undefined ? {} : { planner }) });
  running.left.fill(0.5);
  running.right.fill(0.25);
  const { batch, m, n, k } = problem;
  return { name, flops: 2 * product([...batch, ...m, ...n, ...k]), run: running.run };
}

/** Runs for a window of time; returns GFLOP/s. */
function rate({ run, flops }: Work): number {
  const start = performance.now();
  let runs = 0;
  let elapsed = 0;
  while (elapsed < window) {
    for (let i = 0; i < Math.max(1, Math.floor(1e6 / Math.max(flops, 1))); i++) {
      run();
      runs++;
    }
    elapsed = performance.now() - start;
  }
  return (flops * runs) / elapsed / 1e6;
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] ?? NaN;

const layouts = ["AB", "ATB", "ABT"] as const;
const sizes: [number, number, number][] = [
  [16, 16, 16],
  [32, 32, 32],
  [64, 64, 64],
  [128, 128, 128],
  [256, 256, 256],
  [512, 512, 512],
  [1024, 1024, 1024],
  [1088, 64, 128],
  [64, 32, 64],
  [128, 64, 64],
  [64, 1088, 64],
  [65, 67, 63],
  [1, 256, 256],
  [256, 256, 1],
  [4, 64, 64],
  [8, 64, 128],
  [16, 64, 64],
  [512, 64, 4],
];
const problems: [string, Problem][] = sizes.flatMap((size) =>
  layouts.map((layout): [string, Problem] => [`${size.join("x")} ${layout}`, matrices(size, { layout })]),
);
problems.push(
  ...layouts.map((layout): [string, Problem] => [
    `64 of 16x16x16 ${layout}`,
    matrices([16, 16, 16], { batch: 64, layout }),
  ]),
);
problems.push(["64 of 16x64x16 ABT", matrices([16, 64, 16], { batch: 64, layout: "ABT" })]);

const plans: [string, Planner | undefined][] = args.includes("--plans")
  ? [
      ["as planned", undefined],
      ...[0, 1, 2, 3].map((bits): [string, Planner] => [
        `pack ${bits & 1 ? "left" : ""} ${bits & 2 ? "right" : ""}`,
        (c, { vectors }) => {
          const least = packingOf({ ...c, m: 1, n: 8 });
          return tilePlan(c, { left: least.left || (bits & 1) > 0, right: least.right || (bits & 2) > 0 }, !vectors);
        },
      ]),
      ["dot", (c, context) => (planOf({ ...c, m: 1 }, context).kind === "dot" ? { kind: "dot" } : planOf(c, context))],
    ]
  : [["", undefined]];

const works = problems
  .filter(([name]) => only === undefined || name.includes(only))
  .flatMap(([name, problem]) => plans.map(([plan, planner]) => work(`${name} ${plan}`, problem, planner)));
const all = [ceiling(), ...works];
// Once through before anything is measured, so that the optimised code is in place.
for (const one of all) for (let i = 0; i < 20; i++) rate(one);
await new Promise((done) => setTimeout(done, 300));
const rates = all.map(() => [] as number[]);
for (let round = 0; round < rounds; round++) all.forEach((one, i) => rates[i]?.push(rate(one)));
const top = rates[0] ?? [];
const percent = (own: number, of: number): string => `${((100 * own) / of).toFixed(0).padStart(4)} %`;
console.log(`${"".padEnd(34)} median        best          of the ceiling`);
all.forEach(({ name }, i) => {
  const own = rates[i] ?? [];
  const [middle, best] = [median(own), Math.max(...own)];
  const shares = `${percent(middle, median(top))} ${percent(best, Math.max(...top))}`;
  console.log(`${name.padEnd(34)} ${middle.toFixed(1).padStart(6)} ${best.toFixed(1).padStart(8)} GFLOP/s ${shares}`);
});
