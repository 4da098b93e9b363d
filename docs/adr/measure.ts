/** Measures what the decisions in this folder claim. Run it with `node scripts/run-ts.mjs docs/adr/measure.ts`. */
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { gzipSync } from "node:zlib";
import {
  array,
  type Device,
  type Graph,
  grad,
  type HostTensor,
  jit,
  jvp,
  key,
  makeGraph,
  nn,
  optim,
  optimize,
  printGraph,
  random,
  type Tracer,
  treeLeaves,
  treeMap,
  valueAndGrad,
} from "@banach/autograd";
import { nestedGraphs, PRIMITIVES, sizeOf } from "@banach/autograd/backend";
import { compileGraph, reference } from "@banach/autograd/reference";
import {
  fpRnn,
  householder,
  languageModel,
  picard,
  sequential,
  type SolverAndAdjoint,
  throughTime,
  truncated,
} from "@banach/fprnn";
import type * as Esbuild from "esbuild";

const say = (what: string, ...values: unknown[]): void => console.log(`${what}:`, ...values);

/** Milliseconds of the median of `times` calls. */
async function median(times: number, work: () => unknown): Promise<number> {
  const all: number[] = [];
  for (let i = 0; i < times; i++) {
    const start = performance.now();
    await work();
    all.push(performance.now() - start);
  }
  return all.sort((a, b) => a - b)[Math.floor(times / 2)] ?? NaN;
}

const ms = (time: number): string => `${time.toPrecision(2)} ms`;

/** Equations of a graph, those of nested graphs included, by primitive if one is given. */
function count(graph: Graph, primitive?: string): number {
  return graph.equations.reduce(
    (n, equation) =>
      nestedGraphs(equation).reduce(
        (m, [, nested]) => m + count(nested, primitive),
        n + (primitive === undefined || equation.primitive === primitive ? 1 : 0),
      ),
    0,
  );
}

/** The model of `npm start`: one layer of 16 channels, 32 inside, rank 2; batch 64, length 16 and a start token. */
function parity(choice: SolverAndAdjoint) {
  const layer = fpRnn({ dModel: 16, mixer: householder({ rank: 2 }), ...choice });
  return languageModel({ vocabulary: 16, dModel: 16, layers: [layer] });
}

type Params = Parameters<ReturnType<typeof parity>["apply"]>[0];
const adam = optim.adamw({ learningRate: 3e-3 });

function stepOf(model: ReturnType<typeof parity>) {
  return (params: Params, state: optim.OptimizerState<Params>, ids: Tracer) => {
    const loss = (p: Params): Tracer => nn.softmaxCrossEntropy(model.apply(p, ids).logits, ids);
    const { value, grad: gradient } = valueAndGrad(loss)(params);
    const { grads } = optim.clipByGlobalNorm(gradient, 1);
    return { loss: value, ...adam.update(grads, state, params) };
  };
}

async function measureStep(device: Device, what: string, choice: SolverAndAdjoint): Promise<void> {
  const model = parity(choice);
  const params = model.init(key(0));
  const args = [params, adam.init(params), random.bernoulli(key(1), [64, 17], 0.5)] as const;
  const ids = array(Int32Array.from(args[2].data), { shape: [64, 17] });
  const step = jit(stepOf(model), { device });
  const [p, s] = [device.put(params), device.put(args[1])];
  const start = performance.now();
  device.dispose(await step(p, s, ids));
  say(`${what}, first call with tracing and compilation`, ms(performance.now() - start));
  say(`${what}, later calls`, ms(await median(15, async () => device.dispose(await step(p, s, ids)))));
}

function measureGraph(): void {
  const model = parity({ solver: sequential(), adjoint: throughTime() });
  const params = model.init(key(0));
  const ids = array(new Int32Array(64 * 17), { shape: [64, 17] });
  const start = performance.now();
  const traced = makeGraph(stepOf(model), params, adam.init(params), ids);
  say("train step, tracing", ms(performance.now() - start));
  const optimized = optimize(traced);
  say("train step, equations before and after the passes", count(traced), count(optimized));
  say(
    "train step, broadcast_in_dim before and after",
    count(traced, "broadcast_in_dim"),
    count(optimized, "broadcast_in_dim"),
  );
  say(
    "train step, while loops in the forward and reverse sweep",
    count(optimized, "while"),
    "scans",
    count(optimized, "scan"),
  );
  const printing = performance.now();
  const text = printGraph(optimized);
  say(
    "train step, text that is the cache key",
    text.length,
    "characters, printed in",
    ms(performance.now() - printing),
  );
  const all = optimized.equations
    .flatMap(({ outputs }) => outputs)
    .reduce((n, { type }) => n + 4 * sizeOf(type.shape), 0);
  say("train step, outermost temporaries and outputs in MB without reuse", (all / 1e6).toFixed(2));
  say("train step, arena in MB, loops included", (compileGraph(optimized).temporaryBytes / 1e6).toFixed(2));
}

async function measureDispatch(device: Device): Promise<void> {
  const one = jit((x: Tracer) => x.add(1), { device });
  const x = device.put(array(1));
  say("jit, one equation, per call", ms(await median(2000, async () => (await one(x)).dispose())));
  const tree = device.put(Array.from({ length: 50 }, () => array([1, 2])));
  const many = jit((t: readonly Tracer[]) => t.map((leaf) => leaf.add(1)), { device });
  say("jit, 50 arrays in and out, per call", ms(await median(500, async () => device.dispose(await many(tree)))));
}

function measureJvp(): void {
  const w = array(
    Float64Array.from({ length: 64 }, (_, i) => Math.sin(i)),
    { shape: [8, 8] },
  );
  const f = (x: Tracer): Tracer => x.matmul(w).tanh().matmul(w).logistic();
  const x = array(Float64Array.from({ length: 8 }, (_, i) => Math.cos(i)));
  const graph = optimize(makeGraph((a: Tracer, v: Tracer) => jvp(f, a, v), x, x));
  say("jvp of a two-layer net, equations; the net alone", count(graph), count(makeGraph(f, x)));
  say("primitives", PRIMITIVES.length);
}

async function measureThroughTime(device: Device): Promise<void> {
  const exact = { tol: 1e-14, maxSteps: 500 };
  const gradientBy = (choice: SolverAndAdjoint) => {
    const layer = fpRnn({ dModel: 6, mixer: householder({ rank: 2 }), dtype: "float64", ...choice });
    const params = layer.init(key(3));
    const x = random.normal(key(4), [2, 12, 6], { dtype: "float64" });
    const loss = (p: Parameters<typeof layer.apply>[0], input: Tracer): Tracer =>
      layer.apply(p, input).y.square().sum();
    return device.run(grad(loss), params, x).then((g) => device.get(g));
  };
  const flat = (tree: unknown): number[] =>
    treeLeaves<HostTensor>(tree as HostTensor).flatMap(({ leaf }) => [...leaf.data]);
  const without = flat(await gradientBy({ solver: sequential(exact), adjoint: throughTime({ carry: false }) }));
  const authors = flat(await gradientBy({ solver: picard(exact), adjoint: truncated({ steps: 1 }) }));
  const full = flat(await gradientBy({ solver: sequential(exact), adjoint: throughTime() }));
  const norm = (a: readonly number[]): number => Math.hypot(...a);
  const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((s, x, i) => s + x * (b[i] ?? 0), 0);
  const difference = norm(without.map((g, i) => g - (authors[i] ?? 0))) / norm(authors);
  say("throughTime({ carry: false }) against truncated(1), relative difference", difference.toExponential(1));
  say("throughTime() against truncated(1), cosine", (dot(full, authors) / norm(full) / norm(authors)).toFixed(4));
}

async function measureInit(): Promise<void> {
  const model = parity({ solver: sequential(), adjoint: throughTime() });
  const parameters = treeLeaves<HostTensor>(model.init(key(0)));
  say(
    "init on the host, numbers",
    parameters.reduce((n, { leaf }) => n + leaf.data.length, 0),
  );
  say("init on the host", ms(await median(15, () => model.init(key(0)))));
  const names = new Set<string>();
  treeMap((_: HostTensor, path: string) => names.add(path), model.init(key(0)));
  say("names of parameters", names.size);
}

async function measureBundle(): Promise<void> {
  // Not imported, because this file is bundled before it runs, which esbuild itself does not survive.
  const { build } = createRequire(import.meta.url)("esbuild") as typeof Esbuild;
  const sizes: string[] = [];
  for (const code of [
    `export { key } from "@banach/autograd";`,
    `export { jit, grad } from "@banach/autograd"; export { reference } from "@banach/autograd/reference";`,
    `export * from "@banach/autograd";`,
  ]) {
    const { outputFiles } = await build({
      stdin: { contents: code, resolveDir: process.cwd() },
      conditions: ["@banach/source"],
      bundle: true,
      minify: true,
      format: "esm",
      write: false,
      logLevel: "silent",
    });
    sizes.push(`${(gzipSync(outputFiles[0]?.contents ?? "").length / 1024).toFixed(1)} KiB`);
  }
  say("bundles, minified and gzipped: key; jit, grad and reference; everything", sizes.join(", "));
}

say("node", process.version, spawnSync("nproc").stdout.toString().trim(), "cores");
await using device = await reference();
await measureDispatch(device);
measureJvp();
measureGraph();
await measureInit();
await measureThroughTime(device);
await measureStep(device, "train step, sequential and throughTime", { solver: sequential(), adjoint: throughTime() });
await measureStep(device, "train step, picard and truncated", { solver: picard(), adjoint: truncated() });
await measureBundle();
