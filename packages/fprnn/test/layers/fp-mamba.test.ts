import { grad, type HostTensor, key, makeGraph, optimize, random, type Tracer, treeLeaves } from "@banach/autograd";
import { compileGraph, reference } from "@banach/autograd/reference";
import { describe, expect, it } from "vitest";
import {
  fpMamba,
  type FpMambaOptions,
  type FpMambaParams,
  type FpMambaState,
  householder,
  type HouseholderMixer,
  type HouseholderParams,
  picard,
  sequential,
  type SolverAndAdjoint,
  throughTime,
  truncated,
} from "../../src/index.ts";
import { distance } from "../problems.ts";

const device = await reference();
type Params<T> = FpMambaParams<T, HouseholderParams<T>>;
const dtype = "float64" as const;
const exact = { tol: 1e-13, maxSteps: 2000 };

type Options = SolverAndAdjoint & Partial<Omit<FpMambaOptions<HouseholderMixer>, "solver" | "adjoint">>;

const layerOf = (options: Options = {}) =>
  fpMamba({ dModel: 4, expand: 2, dState: 3, mixer: householder({ rank: 2 }), dtype, ...options });

const input = (shape = [2, 7, 4]): HostTensor => random.normal(key(5), shape, { dtype });

/** Parameters of a map that contracts: the gain of the normalisation inside the loop scales the whole map. */
function contracting(layer: ReturnType<typeof layerOf>, seed: number): Params<HostTensor> {
  const params = layer.init(key(seed));
  params.out_norm.weight.data.fill(0.2);
  return params;
}

const VARIANTS = [
  { shortConv: false },
  { shortConv: true },
  { gluInLoop: true },
  { argument: "input" },
  { argument: "symmetric", bcNorm: false },
] as const;

describe("fpMamba", () => {
  const solvers = [
    ["picard", { solver: picard(exact) }],
    ["sequential", { solver: sequential(exact) }],
    ["sequential and throughTime, loosely solved", { solver: sequential({ tol: 0.1 }), adjoint: throughTime() }],
  ] as const;

  it.each(solvers.flatMap(([name, choice]) => VARIANTS.map((variant) => [name, variant, choice] as const)))(
    "goes on from its state as if never cut: %s, %j",
    async (_, variant, choice) => {
      const layer = layerOf({ ...variant, ...choice });
      const params = contracting(layer, 1);
      const whole = (p: Params<Tracer>, u: Tracer): Tracer => layer.apply(p, u).y;
      const pieces = (p: Params<Tracer>, u: Tracer): readonly Tracer[] => {
        const outputs: Tracer[] = [];
        let state: FpMambaState<Tracer> | undefined;
        for (const [from, to] of [
          [0, 2],
          [2, 3],
          [3, 7],
        ] as const) {
          const result = layer.apply(p, u.sliceAxis(1, from, to), state);
          state = result.state;
          outputs.push(result.y);
        }
        return outputs;
      };
      const expected = await device.get(await device.run(whole, params, input()));
      const parts = await device.get(await device.run(pieces, params, input()));
      let start = 0;
      for (const part of parts) {
        const length = part.shape[1]!;
        for (let b = 0; b < 2; b++) {
          const got = part.data.slice(b * length * 4, (b + 1) * length * 4);
          const want = expected.data.slice((b * 7 + start) * 4, (b * 7 + start + length) * 4);
          got.forEach((value, i) => expect(value).toBeCloseTo(want[i]!, 10));
        }
        start += length;
      }
    },
  );

  it("finds one fixed point and one last state with both solvers, where the map contracts", async () => {
    for (const variant of VARIANTS) {
      const solved = async (choice: SolverAndAdjoint) => {
        const layer = layerOf({ ...variant, ...choice });
        const run = (p: Params<Tracer>, u: Tracer) => layer.apply(p, u);
        return device.get(await device.run(run, contracting(layer, 2), input()));
      };
      const whole = await solved({ solver: picard(exact) });
      const front = await solved({ solver: sequential(exact), adjoint: throughTime() });
      expect([...whole.stats.status.data, ...front.stats.status.data]).toEqual([0, 0, 0, 0]);
      expect(distance(whole.y, front.y)).toBeLessThan(1e-11);
      expect(distance(whole.state.h, front.state.h)).toBeLessThan(1e-11);
      expect(distance(whole.state.y, front.state.y)).toBeLessThan(1e-11);
    }
  });

  it.each(VARIANTS)("gives the truncated gradient through time, without the carry: %j", async (variant) => {
    const gradients = async (choice: SolverAndAdjoint): Promise<Params<HostTensor>> => {
      const layer = layerOf({ ...variant, ...choice });
      const run = grad((p: Params<Tracer>, u: Tracer) => layer.apply(p, u).y.sin().sum());
      return device.get(await device.run(run, contracting(layer, 2), input()));
    };
    const whole = await gradients({ solver: picard(exact), adjoint: truncated({ steps: 1 }) });
    const front = await gradients({ solver: sequential(exact), adjoint: throughTime({ local: "step", carry: false }) });
    const others = treeLeaves<HostTensor>(front as never);
    treeLeaves<HostTensor>(whole as never).forEach(({ path, leaf }, i) =>
      expect(distance(leaf, others[i]!.leaf), path).toBeLessThan(1e-11),
    );
  });

  it.each(VARIANTS)("gives every parameter a finite gradient: %j", async (variant) => {
    const layer = layerOf({ ...variant, solver: sequential({ tol: 1e-6 }), adjoint: throughTime() });
    const run = grad((p: Params<Tracer>, u: Tracer) => layer.apply(p, u).y.sin().sum());
    const gradient = await device.get(await device.run(run, layer.init(key(3)), input()));
    for (const { path, leaf } of treeLeaves<HostTensor>(gradient)) {
      expect(leaf.data.every(Number.isFinite), path).toBe(true);
      expect(
        leaf.data.some((value) => value !== 0),
        path,
      ).toBe(true);
    }
  });

  it("starts as Mamba does", () => {
    const layer = layerOf({ dModel: 20 });
    const { dt_proj, A_log, D, out_norm, x_proj, out_proj } = layer.init(key(0));
    expect(dt_proj.weight.shape).toEqual([40, 2]);
    expect(x_proj.weight.shape).toEqual([2 + 6, 40]);
    dt_proj.bias!.data.forEach((bias) => {
      const dt = Math.log1p(Math.exp(bias));
      expect(dt).toBeGreaterThanOrEqual(1e-3 * (1 - 1e-9));
      expect(dt).toBeLessThanOrEqual(1e-1 * (1 + 1e-9));
    });
    expect((A_log.toNested() as number[][])[39]).toEqual([0, Math.log(2), Math.log(3)]);
    expect([...D.data, ...out_norm.weight.data].every((value) => value === 1)).toBe(true);
    const deep = layer.init(key(0), { depth: 4 }).out_proj.weight;
    deep.data.forEach((value, i) => expect(value).toBe(out_proj.weight.data[i]! / 2));
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

  it("sweeps through time without any array over time and states", () => {
    const layer = layerOf({ solver: sequential(), adjoint: throughTime() });
    const forward = (p: Params<Tracer>, u: Tracer): Tracer => layer.apply(p, u).y;
    const { equations } = optimize(makeGraph(forward, layer.init(key(0)), input()));
    const sizes = equations.flatMap(({ outputs }) => outputs.map(({ type }) => type.shape.join()));
    expect(sizes).not.toContain("7,2,8,3");
    expect(sizes).not.toContain("2,7,8,3");
  });

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
    [[2, 0, 4], /fpMamba: the input .* is empty; give at least one sequence of one step/],
    [[0, 3, 4], /is empty/],
    [[2, 3, 5], /fpMamba: the input must be \[batch, time, 4\], got float64\[2,3,5\]/],
    [[3, 4], /the input must be \[batch, time, 4\]/],
  ])("refuses an input of shape %j", async (shape, message) => {
    const layer = layerOf();
    const run = device.run((p: Params<Tracer>, u: Tracer) => layer.apply(p, u).y, layer.init(key(0)), input(shape));
    await expect(run).rejects.toThrow(message);
  });

  it.each([
    [{ dModel: 0 }, /fpMamba: dModel must be a positive integer, got 0/],
    [{ dModel: 4, expand: 0.3 }, /expand \* dModel must be a positive integer/],
    [{ dModel: 4, dState: 0 }, /dState must be a positive integer, got 0/],
  ])("refuses %o", (sizes, message) => {
    expect(() => fpMamba({ ...sizes, mixer: householder() })).toThrow(message);
  });

  it.each([picard(), sequential()])("works on one sequence of one step: $name", async (solver) => {
    const layer = layerOf({ solver });
    const result = await device.get(
      await device.run((p: Params<Tracer>, u: Tracer) => layer.apply(p, u), layer.init(key(0)), input([1, 1, 4])),
    );
    expect(result.y.shape).toEqual([1, 1, 4]);
    expect(result.state.y.shape).toEqual([1, 8]);
    expect(result.state.h.shape).toEqual([1, 3, 8]);
  });
});
