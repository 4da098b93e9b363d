import { array, concatenate, type Device, type HostTensor, jit, key, random, type Tracer } from "@banach/autograd";
import { treeLeaves, treeMap } from "@banach/autograd";
import { reference } from "@banach/autograd/reference";
import { wasm } from "@banach/backend-wasm";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  chunked,
  fpMamba,
  fpMamba2,
  fpRnn,
  householder,
  implicit,
  type Layer,
  mamba,
  picard,
  sequential,
  type SolveStats,
  type SolverAndAdjoint,
  throughTime,
  truncated,
} from "../../src/index.ts";
import { distance } from "../problems.ts";
import { EVERY_SOLVER } from "../solvers/kit.ts";

const reference64 = await reference();

type FloatType = "float32" | "float64";

/** Parameters, and states, of any layer. */
type Tree<T> = Readonly<Record<string, T>>;
type AnyLayer = Layer<Tree<Tracer>, Tree<Tracer>>;

interface Options {
  readonly shortConv: boolean;
  readonly dtype: FloatType;
  readonly choice: SolverAndAdjoint;
}

const D_MODEL = 4;

const LAYERS = {
  fpRnn: ({ choice, ...options }: Options) =>
    fpRnn({ dModel: D_MODEL, expand: 1, mixer: householder({ rank: 2 }), ...options, ...choice }),
  fpMamba: ({ choice, ...options }: Options) =>
    fpMamba({ dModel: D_MODEL, dState: 3, mixer: householder(), ...options, ...choice }),
  "fpMamba with the gate inside": ({ choice, ...options }: Options) =>
    fpMamba({ dModel: D_MODEL, dState: 2, gluInLoop: true, mixer: householder(), ...options, ...choice }),
  fpMamba2: ({ choice, ...options }: Options) =>
    fpMamba2({ dModel: D_MODEL, dState: 3, headDim: 4, chunk: 2, mixer: householder(), ...options, ...choice }),
  "fpMamba2 with all that depends on y, gated as the authors do": ({ choice, ...options }: Options) =>
    fpMamba2({
      ...{ dModel: D_MODEL, dState: 2, headDim: 1, hidden: { lambda: true }, gating: "authors", mixer: householder() },
      ...options,
      ...choice,
    }),
  mamba: ({ choice: _, ...options }: Options) => mamba({ dModel: D_MODEL, dState: 3, ...options }),
} as const;

type LayerName = keyof typeof LAYERS;
const NAMES = Object.keys(LAYERS) as LayerName[];

const layerOf = (name: LayerName, options: Options): AnyLayer => LAYERS[name](options) as unknown as AnyLayer;

const exact = { tol: 1e-12, maxSteps: 2000 };

/** Every solver with the default adjoint, and every adjoint with a solver that it goes with. */
const CHOICES: Readonly<Record<string, SolverAndAdjoint>> = {
  ...Object.fromEntries(EVERY_SOLVER.map(([name, create]) => [name, { solver: create(exact) }])),
  "picard and truncated": { solver: picard(exact), adjoint: truncated({ steps: 2 }) },
  "picard and implicit": { solver: picard(exact), adjoint: implicit() },
  "sequential and throughTime": { solver: sequential(exact), adjoint: throughTime() },
  "chunked and throughTime": { solver: chunked({ ...exact, chunk: 2 }), adjoint: throughTime() },
};

/** Parameters of a map that contracts, mostly: in the FP-Mambas the gain of the norm inside the loop scales the whole map. */
function contracting(layer: AnyLayer, seed: number): Tree<HostTensor> {
  type Norms = Partial<Record<"out_norm" | "norm", { weight: HostTensor }>>;
  const params = layer.init(key(seed)) as unknown as Tree<HostTensor> & Norms;
  (params.out_norm ?? params.norm)?.weight.data.fill(0.1);
  return params;
}

interface Outcome<T> {
  readonly y: T;
  readonly state: Tree<T>;
  readonly stats?: SolveStats<T> | null;
}

const whole =
  (layer: AnyLayer) =>
  (p: Tree<Tracer>, x: Tracer, state?: Tree<Tracer>): Outcome<Tracer> =>
    layer.apply(p, x, state);

/** x [batch, time, dModel], one step after the other. */
const stepwise =
  (layer: AnyLayer) =>
  (p: Tree<Tracer>, x: Tracer, before?: Tree<Tracer>): Outcome<Tracer> => {
    const outputs: Tracer[] = [];
    let state = before!;
    for (let t = 0; t < x.dim(1); t++) {
      const result = layer.step(p, x.index(1, t), state);
      outputs.push(result.y.expandDims(1));
      state = result.state;
    }
    return { y: concatenate(outputs, 1), state };
  };

async function run(
  device: Device,
  f: (p: Tree<Tracer>, x: Tracer, state?: Tree<Tracer>) => Outcome<Tracer>,
  params: Tree<HostTensor>,
  x: HostTensor,
  state?: Tree<HostTensor>,
): Promise<Outcome<HostTensor>> {
  const resident = await device.run(f, params, x, state);
  const outcome = await device.get(resident);
  device.dispose(resident);
  return outcome;
}

/** A state as text and back, into the tree that the layer itself makes. */
function saved(layer: AnyLayer, batch: number, state: Tree<HostTensor>): Tree<HostTensor> {
  const text = JSON.stringify(
    Object.fromEntries(treeLeaves<HostTensor>(state).map(({ path, leaf }) => [path, leaf.toNested()])),
  );
  const read = JSON.parse(text) as Record<string, number[]>;
  const template = layer.initialState(batch) as unknown as Tree<HostTensor>;
  return treeMap((leaf: HostTensor, path) => array(read[path]!, { dtype: leaf.dtype }), template);
}

/** Sequences [batch, time, dModel] cut in two. */
function cut(x: HostTensor, at: number): readonly [HostTensor, HostTensor] {
  const nested = x.toNested() as number[][][];
  const of = (rows: number[][][]): HostTensor => array(rows, { dtype: x.dtype });
  return [of(nested.map((row) => row.slice(0, at))), of(nested.map((row) => row.slice(at)))];
}

/** Largest difference of the last steps and of the states, each over the largest entry. */
function difference(a: Outcome<HostTensor>, b: Outcome<HostTensor>): number {
  const last = cut(a.y, a.y.shape[1]! - b.y.shape[1]!)[1];
  const others = treeLeaves<HostTensor>({ y: b.y, state: b.state });
  return Math.max(
    ...treeLeaves<HostTensor>({ y: last, state: a.state }).map(({ leaf, path }, i) => {
      expect([path, others[i]!.path]).toEqual([path, path]);
      return distance(leaf, others[i]!.leaf) / Math.max(...Array.from(leaf.data, Math.abs));
    }),
  );
}

/** A prefix by `apply`, its state saved and read, and the rest step by step; without a prefix, from the initial state. */
async function prefillAndSteps(
  device: Device,
  layer: AnyLayer,
  params: Tree<HostTensor>,
  x: HostTensor,
  prefix: number,
): Promise<Outcome<HostTensor>> {
  const batch = x.shape[0]!;
  const [head, tail] = cut(x, prefix);
  const initial = layer.initialState(batch) as unknown as Tree<HostTensor>;
  const before = prefix === 0 ? initial : (await run(device, whole(layer), params, head)).state;
  return run(device, stepwise(layer), params, tail, saved(layer, batch, before));
}

describe("step by step", () => {
  const cases = fc
    .record({
      name: fc.constantFrom(...NAMES),
      solver: fc.constantFrom(...Object.keys(CHOICES)),
      shortConv: fc.boolean(),
      batch: fc.integer({ min: 1, max: 3 }),
      time: fc.integer({ min: 1, max: 6 }),
      seed: fc.nat(1000),
    })
    .chain((shape) => fc.record({ shape: fc.constant(shape), prefix: fc.nat(shape.time - 1) }));

  it("is the whole sequence, and so is a prefix and the rest step by step, for every layer and solver", async () => {
    const property = fc.asyncProperty(cases, async ({ shape, prefix }) => {
      const { name, solver, shortConv, batch, time, seed } = shape;
      const layer = layerOf(name, { shortConv, dtype: "float64", choice: CHOICES[solver]! });
      const params = contracting(layer, seed);
      const x = random.normal(key(seed + 1), [batch, time, D_MODEL], { dtype: "float64" });
      const expected = await run(reference64, whole(layer), params, x);
      fc.pre(expected.stats?.status.data.every((status) => status === 0) ?? true);
      for (const start of new Set([0, prefix])) {
        const found = await prefillAndSteps(reference64, layer, params, x, start);
        expect(difference(expected, found)).toBeLessThan(1e-10);
      }
    });
    await fc.assert(property, { numRuns: 40 });
  }, 60_000);

  it.each(NAMES.flatMap((name) => [true, false].map((shortConv) => [name, shortConv] as const)))(
    "%s starts from its initial state as from none, short convolutions %s",
    async (name, shortConv) => {
      const layer = layerOf(name, { shortConv, dtype: "float64", choice: CHOICES["picard"]! });
      const params = contracting(layer, 2);
      const x = random.normal(key(3), [2, 4, D_MODEL], { dtype: "float64" });
      const initial = layer.initialState(2) as unknown as Tree<HostTensor>;
      const [none, zeros] = [
        await run(reference64, whole(layer), params, x),
        await run(reference64, whole(layer), params, x, initial),
      ];
      expect(difference(none, zeros)).toBe(0);
    },
  );

  it.each(NAMES)("%s, solved loosely, strays in proportion to its tolerance", async (name) => {
    for (const tol of [0.1, 1e-2, 1e-3]) {
      const choice = { solver: picard({ tol, maxSteps: 200 }) };
      const layer = layerOf(name, { shortConv: true, dtype: "float64", choice });
      const params = contracting(layer, 5);
      const x = random.normal(key(6), [2, 12, D_MODEL], { dtype: "float64" });
      const expected = await run(reference64, whole(layer), params, x);
      const found = await prefillAndSteps(reference64, layer, params, x, 4);
      expect(difference(expected, found)).toBeLessThan(5 * tol);
    }
  });

  it.each(NAMES)("%s makes the same sweep, whatever the tolerance, if it is sequential", async (name) => {
    const choice = { solver: sequential({ tol: 0.3, maxSteps: 3 }), adjoint: throughTime() };
    const layer = layerOf(name, { shortConv: true, dtype: "float64", choice });
    const params = layer.init(key(8)) as unknown as Tree<HostTensor>;
    const x = random.normal(key(9), [2, 6, D_MODEL], { dtype: "float64" });
    const expected = await run(reference64, whole(layer), params, x);
    expect(difference(expected, await prefillAndSteps(reference64, layer, params, x, 2))).toBeLessThan(1e-13);
  });

  it.each(NAMES.flatMap((name) => [true, false].map((shortConv) => [name, shortConv] as const)))(
    "%s is one program on wasm, whose memory does not grow, short convolutions %s",
    async (name, shortConv) => {
      await using device = await wasm();
      const choice = { solver: sequential({ tol: 1e-6, maxSteps: 200 }), adjoint: throughTime() };
      const layer = layerOf(name, { shortConv, dtype: "float32", choice });
      const params = contracting(layer, 1);
      const x = random.normal(key(2), [2, 9, D_MODEL]);
      const expected = await run(device, whole(layer), params, x);
      const compiled = device.compiledPrograms;
      const step = jit(layer.step, { device, donate: [2] });
      const resident = { params: device.put(params), state: device.put(layer.initialState(2)) };
      const live = new Set<number>();
      for (let t = 0; t < 9; t++) {
        const token = array((x.toNested() as number[][][]).map((row) => row[t]!));
        const result = await step(resident.params, token, resident.state);
        const y = await device.get(result.y);
        const wanted = (expected.y.toNested() as number[][][]).flatMap((row) => row[t]!);
        y.data.forEach((value, i) => expect(value).toBeCloseTo(wanted[i]!, 4));
        const { state, ...rest } = result;
        device.dispose(rest);
        resident.state = state;
        live.add(device.memory().liveBytes);
      }
      expect(live.size).toBe(1);
      expect(device.compiledPrograms - compiled).toBe(1);
      device.dispose(resident);
      expect(device.memory().liveBuffers).toBe(0);
    },
  );

  it("refuses an input with a time axis or of another width, and a batch of none", async () => {
    for (const name of NAMES) {
      const layer = layerOf(name, { shortConv: true, dtype: "float64", choice: {} });
      const params = layer.init(key(0)) as unknown as Tree<HostTensor>;
      const step = (p: Tree<Tracer>, x: Tracer, state?: Tree<Tracer>): Outcome<Tracer> => layer.step(p, x, state!);
      const initial = layer.initialState(2) as unknown as Tree<HostTensor>;
      for (const shape of [
        [2, 1, D_MODEL],
        [2, D_MODEL + 1],
      ]) {
        const x = random.normal(key(0), shape, { dtype: "float64" });
        await expect(run(reference64, step, params, x, initial)).rejects.toThrow(/a step must be \[batch, 4\], got/);
      }
      const other = random.normal(key(0), [3, D_MODEL], { dtype: "float64" });
      await expect(run(reference64, step, params, other, initial)).rejects.toThrow(/state\.\w+ must be float64\[3,/);
      expect(() => layer.initialState(0)).toThrow(/batch must be a positive integer, got 0/);
    }
  });
});
