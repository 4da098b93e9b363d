import {
  array,
  grad,
  type HostTensor,
  key,
  makeGraph,
  optimize,
  random,
  type Tracer,
  treeLeaves,
  treeMap,
} from "@banach/autograd";
import { compileGraph, reference } from "@banach/autograd/reference";
import { wasm } from "@banach/backend-wasm";
import { describe, expect, it } from "vitest";
import {
  fpMamba2,
  type FpMamba2Options,
  type FpMamba2Params,
  gmres,
  householder,
  type HouseholderMixer,
  type HouseholderParams,
  implicit,
  picard,
  sequential,
  type SolverAndAdjoint,
  throughTime,
  truncated,
  unrolled,
} from "../../src/index.ts";
import { distance } from "../problems.ts";
import { EVERY_SOLVER } from "../solvers/kit.ts";
import { loops } from "./fp-mamba-2-loops.ts";

const device = await reference();
type Params<T> = FpMamba2Params<T, HouseholderParams<T>>;
const dtype = "float64" as const;
const exact = { tol: 1e-13, maxSteps: 2000 };

type Options = SolverAndAdjoint & Partial<Omit<FpMamba2Options<HouseholderMixer>, "solver" | "adjoint">>;

/** Two heads of four channels, chunks that do not divide the length. */
const layerOf = (options: Options = {}) =>
  fpMamba2({ dModel: 4, headDim: 4, dState: 3, chunk: 3, mixer: householder({ rank: 2 }), dtype, ...options });

const input = (shape = [2, 7, 4]): HostTensor => random.normal(key(5), shape, { dtype });

/** Parameters of a map that contracts: the gain of the normalisation inside the loop scales the whole map. */
function contracting(layer: ReturnType<typeof layerOf>, seed: number): Params<HostTensor> {
  const params = layer.init(key(seed));
  params.norm.weight.data.fill(0.1);
  return params;
}

const VARIANTS = [
  { shortConv: false },
  { shortConv: true },
  { gluInLoop: true },
  { gating: "authors" },
  { gating: "authors", gluInLoop: true, shortConv: true },
  { argument: "symmetric", bcNorm: false },
  { headDim: 1, hidden: { lambda: true } },
  { headDim: 8, hidden: { q: false, b: false } },
] as const satisfies readonly Options[];

const gradients = async (layer: ReturnType<typeof layerOf>, params: Params<HostTensor>) => {
  const run = grad((p: Params<Tracer>, u: Tracer) => layer.apply(p, u).y.sin().sum());
  return device.get(await device.run(run, params, input()));
};

describe("fpMamba2", () => {
  describe.each(["once", "authors"] as const)("gated as %s", (gating) => {
    const cases = [false, true].flatMap((gluInLoop) =>
      [false, true].flatMap((lambda) => [false, true].map((shortConv) => ({ gluInLoop, lambda, shortConv }))),
    );

    it.each(cases)("is what its equations say: %j", async ({ gluInLoop, lambda, shortConv }) => {
      const sizes = { headDim: 2, dState: 3 };
      const variant = { gating, gluInLoop, shortConv };
      const layer = layerOf({ ...sizes, ...variant, hidden: { lambda }, mixer: householder({ gain: 1 }) });
      const params = layer.init(key(1));
      const drawn = random.split(key(2), 3);
      params.D.data.set([0.5, -1, 2, 1.5]);
      params.norm.weight.data.set(random.normal(drawn[0]!, [8], { dtype }).data);
      const [u, y] = [input([1, 7, 4]), random.normal(drawn[1]!, [1, 7, 8], { dtype })];
      const run = (p: Params<Tracer>, x: Tracer, at: Tracer) => {
        const { problem, theta, readout } = layer.parts(p, x);
        return { next: problem.step(at, theta), out: readout(at).y };
      };
      const found = await device.get(await device.run(run, params, u, y));
      const [rows, at] = [(u.toNested() as number[][][])[0]!, (y.toNested() as number[][][])[0]!];
      const wanted = loops(params, rows, at, { ...sizes, ...variant, lambda });
      expect(distance(found.next, array([wanted.next], { dtype }))).toBeLessThan(1e-12);
      expect(distance(found.out, array([wanted.out], { dtype }))).toBeLessThan(1e-12);
    });
  });

  it("is Mamba-2 where Q is the identity and nothing depends on y: solved by one application", async () => {
    const hidden = { lambda: false, q: false, b: false, c: false };
    for (const choice of [{ solver: picard(exact) }, { solver: sequential(exact), adjoint: throughTime() }]) {
      const layer = layerOf({ hidden, ...choice });
      const params = layer.init(key(1));
      params.mixer.alpha_proj.bias!.data.fill(-1000);
      const run = (p: Params<Tracer>, u: Tracer) => {
        const { problem, theta, y0, readout } = layer.parts(p, u);
        return { once: readout(problem.step(y0.add(3), theta)).y, ...layer.apply(p, u) };
      };
      const { once, y, stats } = await device.get(await device.run(run, params, input()));
      expect(distance(y, once)).toBeLessThan(1e-12);
      expect(Math.max(...stats.iterations.data)).toBeLessThanOrEqual(2);
    }
  });

  it.each(EVERY_SOLVER)("has one fixed point and last state, from a carried state on: %s", async (_, create) => {
    for (const variant of VARIANTS) {
      const solved = async (choice: SolverAndAdjoint) => {
        const layer = layerOf({ ...variant, ...choice });
        const pieces = (p: Params<Tracer>, u: Tracer) => {
          const first = layer.apply(p, u.sliceAxis(1, 0, 3));
          return { first: first.y, second: layer.apply(p, u.sliceAxis(1, 3, 7), first.state) };
        };
        return device.get(await device.run(pieces, contracting(layer, 2), input()));
      };
      const [whole, other] = [await solved({ solver: picard(exact) }), await solved({ solver: create(exact) })];
      expect([...whole.second.stats.status.data, ...other.second.stats.status.data]).toEqual([0, 0, 0, 0]);
      expect(distance(whole.first, other.first)).toBeLessThan(1e-10);
      expect(distance(whole.second.y, other.second.y)).toBeLessThan(1e-10);
      expect(distance(whole.second.state.h, other.second.state.h)).toBeLessThan(1e-10);
    }
  });

  it("does not depend on the chunk of its scan", async () => {
    const solved = async (chunk: number) => {
      const layer = layerOf({ chunk, solver: picard({ tol: 0, maxSteps: 5 }) });
      const run = (p: Params<Tracer>, u: Tracer) => layer.apply(p, u);
      return device.get(await device.run(run, layer.init(key(2)), input()));
    };
    const whole = await solved(100);
    for (const chunk of [1, 2, 3, 7]) {
      const { y, state } = await solved(chunk);
      expect(distance(y, whole.y)).toBeLessThan(1e-12);
      expect(distance(state.h, whole.state.h)).toBeLessThan(1e-12);
    }
  });

  it.each(VARIANTS)("has one exact gradient, by four ways to it: %j", async (variant) => {
    const params = contracting(layerOf(variant), 2);
    const solver = gmres({ tol: 1e-13, maxSteps: 200 });
    const choices: readonly SolverAndAdjoint[] = [
      { solver: sequential(exact), adjoint: throughTime({ local: "implicit", solver }) },
      { solver: picard(exact), adjoint: implicit({ solver }) },
      { adjoint: unrolled({ steps: 80 }) },
    ];
    const all = await Promise.all(choices.map((choice) => gradients(layerOf({ ...variant, ...choice }), params)));
    const leaves = all.map((tree) => treeLeaves<HostTensor>(tree as never));
    leaves[0]!.forEach(({ path, leaf }, i) => {
      const size = Math.max(...leaf.data.map(Math.abs));
      expect(size, path).toBeGreaterThan(0);
      for (const other of leaves) expect(distance(leaf, other[i]!.leaf) / size, path).toBeLessThan(1e-9);
    });

    // The fourth: central differences along a direction in all parameters at once.
    const layer = layerOf({ ...variant, solver: picard(exact) });
    const loss = (p: Params<Tracer>, u: Tracer): Tracer => layer.apply(p, u).y.sin().sum();
    const directions = treeMap(
      (leaf: HostTensor, path) => random.normal(random.foldIn(key(3), path.length), leaf.shape, { dtype }),
      params,
    );
    const moved = async (by: number): Promise<number> => {
      const step = (leaf: HostTensor, _path: string, [d]: readonly HostTensor[]): HostTensor =>
        array(
          leaf.data.map((value, i) => value + by * d!.data[i]!),
          { shape: leaf.shape },
        );
      const there = treeMap(step, params, directions) as Params<HostTensor>;
      return (await device.get(await device.run(loss, there, input()))).item();
    };
    const h = 1e-4;
    const [near, far] = [(await moved(h)) - (await moved(-h)), (await moved(2 * h)) - (await moved(-2 * h))];
    const numeric = (8 * near - far) / (12 * h);
    const alongs = treeLeaves<HostTensor>(directions);
    const slope = leaves[0]!
      .flatMap(({ leaf }, i) => Array.from(leaf.data, (value, j) => value * alongs[i]!.leaf.data[j]!))
      .reduce((a, b) => a + b, 0);
    expect(Math.abs(numeric / slope - 1)).toBeLessThan(1e-6);
  });

  it.each(VARIANTS)("gives the truncated gradient through time, without the carry: %j", async (variant) => {
    const params = contracting(layerOf(variant), 2);
    const whole = await gradients(
      layerOf({ ...variant, solver: picard(exact), adjoint: truncated({ steps: 1 }) }),
      params,
    );
    const front = await gradients(
      layerOf({ ...variant, solver: sequential(exact), adjoint: throughTime({ local: "step", carry: false }) }),
      params,
    );
    const others = treeLeaves<HostTensor>(front);
    treeLeaves<HostTensor>(whole).forEach(({ path, leaf }, i) =>
      expect(distance(leaf, others[i]!.leaf), path).toBeLessThan(1e-11),
    );
  });

  it("is the same on WASM in float32", async () => {
    await using place = await wasm();
    for (const variant of VARIANTS) {
      for (const choice of [
        { solver: picard({ tol: 0, maxSteps: 6 }) },
        { solver: sequential({ tol: 0, maxSteps: 4 }), adjoint: throughTime() },
      ] satisfies SolverAndAdjoint[]) {
        const layer = layerOf({ ...variant, ...choice, dtype: "float32" });
        const params = contracting(layer, 3);
        const x = random.normal(key(4), [2, 7, 4]);
        const run = grad((p: Params<Tracer>, u: Tracer) => layer.apply(p, u).y.sin().sum());
        const forward = (p: Params<Tracer>, u: Tracer): Tracer => layer.apply(p, u).y;
        const [y, wanted] = [
          await place.get(await place.run(forward, params, x)),
          await device.get(await device.run(forward, params, x)),
        ];
        expect(distance(y, wanted)).toBeLessThan(1e-5 * Math.max(...wanted.data.map(Math.abs)));
        const others = treeLeaves<HostTensor>(await device.get(await device.run(run, params, x)));
        const sizes = others.map(({ leaf }) => Math.max(...leaf.data.map(Math.abs)));
        const leaves = treeLeaves<HostTensor>(await place.get(await place.run(run, params, x)));
        // With one head, D scales what is normalised: its gradient is what cancellation leaves of terms as large as others.
        const floor = 1e-6 * Math.max(...sizes);
        leaves.forEach(({ path, leaf }, i) => {
          expect(distance(leaf, others[i]!.leaf), path).toBeLessThan(1e-4 * sizes[i]! + floor);
        });
      }
    }
  });

  it("starts as Mamba-2 does", () => {
    const layer = layerOf({ dModel: 32, headDim: 1, shortConv: true });
    const { dt_bias, A_log, D, norm, in_proj, conv1d, out_proj } = layer.init(key(0));
    expect(in_proj.weight.shape).toEqual([2 * 64 + 2 * 3 + 64, 32]);
    expect(conv1d!.weight.shape).toEqual([64 + 6, 1, 4]);
    dt_bias.data.forEach((bias) => {
      const dt = Math.log1p(Math.exp(bias));
      expect(dt).toBeGreaterThanOrEqual(1e-3 * (1 - 1e-9));
      expect(dt).toBeLessThanOrEqual(1e-1 * (1 + 1e-9));
    });
    const a = A_log.data.map(Math.exp);
    expect(Math.min(...a)).toBeGreaterThanOrEqual(1);
    expect(Math.max(...a)).toBeLessThanOrEqual(16);
    expect(Math.max(...a) - Math.min(...a)).toBeGreaterThan(10);
    expect([...D.data, ...norm.weight.data].every((value) => value === 1)).toBe(true);
    const deep = layer.init(key(0), { depth: 4 }).out_proj.weight;
    deep.data.forEach((value, i) => expect(value).toBe(out_proj.weight.data[i]! / 2));
  });

  it("has heads of 64 channels, or one of all where there are fewer", () => {
    const heads = (dModel: number) => fpMamba2({ dModel, mixer: householder() }).init(key(0)).D.shape;
    expect([heads(128), heads(16)]).toEqual([[4], [1]]);
  });

  it("needs the same memory for 5 iterations and for 500", () => {
    for (const solver of [picard, sequential]) {
      const bytes = (maxSteps: number): number => {
        const layer = layerOf({ solver: solver({ tol: 1e-6, maxSteps }) });
        const run = grad((p: Params<Tracer>, u: Tracer) => layer.apply(p, u).y.sum());
        return compileGraph(optimize(makeGraph(run, layer.init(key(0)), input()))).temporaryBytes;
      };
      expect(bytes(500)).toBe(bytes(5));
    }
  });

  it.each([{ solver: picard() }, { solver: sequential(), adjoint: throughTime() }] satisfies SolverAndAdjoint[])(
    "makes no array over time and states: $solver.name",
    (choice) => {
      const layer = layerOf({ dState: 16, chunk: 4, ...choice });
      const forward = (p: Params<Tracer>, u: Tracer) => layer.apply(p, u).y;
      const { equations } = optimize(makeGraph(forward, layer.init(key(0)), input([2, 64, 4])));
      const sizes = equations.flatMap(({ outputs }) =>
        outputs.map(({ type }) => type.shape.reduce((x, y) => x * y, 1)),
      );
      expect(Math.max(...sizes)).toBeLessThan(2 * 64 * 8 * 16);
    },
  );

  it("is causal: the output at t does not change with later inputs", async () => {
    for (const variant of VARIANTS) {
      const layer = layerOf({ ...variant, solver: picard({ tol: 1e-12, maxSteps: 1000 }) });
      const params = contracting(layer, 4);
      const run = (p: Params<Tracer>, u: Tracer): Tracer => layer.apply(p, u).y;
      const x = input([1, 7, 4]);
      const before = await device.get(await device.run(run, params, x));
      x.data.fill(3, 5 * 4);
      const after = await device.get(await device.run(run, params, x));
      before.data.slice(0, 5 * 4).forEach((value, i) => expect(after.data[i]).toBeCloseTo(value, 10));
      expect(distance(before, after)).toBeGreaterThan(1e-3);
    }
  });

  it.each([
    [{ headDim: 3 }, /fpMamba2: headDim must divide expand \* dModel, 8; got 3, which leaves a head of 2/],
    [{ headDim: 16 }, /headDim must divide expand \* dModel, 8; got 16/],
    [{ headDim: 0 }, /fpMamba2: headDim must be a positive integer, got 0/],
    [{ headDim: 1.5 }, /headDim must be a positive integer, got 1.5/],
    [{ chunk: 0 }, /fpMamba2: chunk must be a positive integer, got 0/],
    [{ chunk: 0.5 }, /chunk must be a positive integer, got 0.5/],
    [{ dState: 0 }, /fpMamba2: dState must be a positive integer, got 0/],
    [{ dModel: 0 }, /fpMamba2: dModel must be a positive integer, got 0/],
    [{ eps: 0 }, /fpMamba2: eps must be a positive number, got 0/],
    [{ gating: "twice" }, /fpMamba2: gating must be one of once, authors; got twice/],
    [{ argument: "symm" }, /fpMamba2: argument must be one of concatenated, symmetric, input; got symm/],
    [{ solver: picard(), adjoint: throughTime() }, /throughTime needs a solver that steps through time/],
  ])("refuses %o", (options, message) => {
    expect(() => layerOf(options as never)).toThrow(message);
  });

  it.each([
    [[2, 0, 4], /fpMamba2: the input .* is empty/],
    [[2, 3, 5], /fpMamba2: the input must be \[batch, time, 4\], got float64\[2,3,5\]/],
    [[3, 4], /the input must be \[batch, time, 4\]/],
  ])("refuses an input of shape %j", async (shape, message) => {
    const layer = layerOf();
    const run = device.run((p: Params<Tracer>, u: Tracer) => layer.apply(p, u).y, layer.init(key(0)), input(shape));
    await expect(run).rejects.toThrow(message);
  });

  it.each([
    [{ headDim: 2 }, /fpMamba2: params\.in_proj must have 24 outputs and params\.A_log 2 heads, got 26 and \[4\]/],
    [{ dState: 4 }, /fpMamba2: params\.bc_y_proj is a map with 8 outputs of y, but the layer has a map with 6/],
    [{ gluInLoop: true }, /fpMamba2: params\.z_y_proj is no map of y, but the layer has a map with 8 outputs/],
    [{ shortConv: true }, /fpMamba2: params\.conv1d is given, but the layer has no short convolution/],
  ])("refuses parameters of a layer with %j", async (options, message) => {
    const layer = layerOf();
    const given = layerOf(options).init(key(0));
    const run = device.run((p: Params<Tracer>, u: Tracer) => layer.apply(p, u).y, given, input());
    await expect(run).rejects.toThrow(message);
  });
});
