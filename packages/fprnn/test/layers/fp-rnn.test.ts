import {
  grad,
  type HostTensor,
  key,
  random,
  ShapeError,
  type Tracer,
  treeLeaves,
  optimize,
  makeGraph,
} from "@banach/autograd";
import { compileGraph, reference } from "@banach/autograd/reference";
import { describe, expect, it } from "vitest";
import {
  fpRnn,
  type FpRnnParams,
  type FpRnnState,
  householder,
  type HouseholderParams,
  picard,
  sequential,
  type SolverAndAdjoint,
  throughTime,
  truncated,
} from "../../src/index.ts";
import { distance } from "../problems.ts";

const device = await reference();
type Params<T> = FpRnnParams<T, HouseholderParams<T>>;
const dtype = "float64" as const;

type Options = SolverAndAdjoint & { readonly shortConv?: boolean };

const layerOf = (options: Options = {}) =>
  fpRnn({ dModel: 4, expand: 2, mixer: householder({ rank: 2 }), argument: "concatenated", dtype, ...options });

const input = (shape = [2, 7, 4]): HostTensor => random.normal(key(5), shape, { dtype });

describe("fpRnn", () => {
  it.each([
    ["picard", false, picard({ tol: 1e-13, maxSteps: 2000 })],
    ["picard", true, picard({ tol: 1e-13, maxSteps: 2000 })],
    ["sequential", false, sequential({ tol: 1e-13, maxSteps: 500 })],
    ["sequential", true, sequential({ tol: 1e-13, maxSteps: 500 })],
  ] as const)("goes on from its state as if never cut: %s, short convolutions %s", async (_, shortConv, solver) => {
    const layer = layerOf({ shortConv, solver });
    const params = layer.init(key(1));
    const x = input();
    const whole = (p: Params<Tracer>, u: Tracer): Tracer => layer.apply(p, u).y;
    const pieces = (p: Params<Tracer>, u: Tracer): readonly Tracer[] => {
      const outputs: Tracer[] = [];
      let state: FpRnnState<Tracer> | undefined;
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
    const expected = await device.get(await device.run(whole, params, x));
    const parts = await device.get(await device.run(pieces, params, x));
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
  });

  it("gives both solvers the same output, and the same through-time gradient as truncated without the carry", async () => {
    const exact = { tol: 1e-13, maxSteps: 2000 };
    const parallel = layerOf({ solver: picard(exact), adjoint: truncated() });
    const causal = layerOf({ solver: sequential(exact), adjoint: throughTime({ local: "step", carry: false }) });
    const params = parallel.init(key(2));
    const gradients = async (layer: typeof parallel): Promise<Params<HostTensor>> => {
      const run = grad((p: Params<Tracer>, u: Tracer) => layer.apply(p, u).y.sin().sum());
      return device.get(await device.run(run, params, input()));
    };
    const [a, b] = [
      treeLeaves<HostTensor>((await gradients(parallel)) as never),
      treeLeaves<HostTensor>((await gradients(causal)) as never),
    ];
    a.forEach(({ path, leaf }, i) => expect(distance(leaf, b[i]!.leaf), path).toBeLessThan(1e-11));
  });

  it("gives every parameter a finite gradient", async () => {
    for (const shortConv of [false, true]) {
      const layer = layerOf({ shortConv, solver: sequential({ tol: 1e-6 }), adjoint: throughTime() });
      const run = grad((p: Params<Tracer>, u: Tracer) => layer.apply(p, u).y.sin().sum());
      const gradient = await device.get(await device.run(run, layer.init(key(3)), input()));
      for (const { path, leaf } of treeLeaves<HostTensor>(gradient)) {
        expect(leaf.data.every(Number.isFinite), path).toBe(true);
        expect(
          leaf.data.some((value) => value !== 0),
          path,
        ).toBe(true);
      }
    }
  });

  it("needs the same memory for 5 iterations and for 500", () => {
    const bytes = (maxSteps: number): number => {
      const layer = layerOf({ solver: picard({ tol: 1e-6, maxSteps }), adjoint: truncated() });
      const run = grad((p: Params<Tracer>, u: Tracer) => layer.apply(p, u).y.sum());
      return compileGraph(optimize(makeGraph(run, layer.init(key(0)), input()))).temporaryBytes;
    };
    expect(bytes(500)).toBe(bytes(5));
  });

  it("is causal: the output at t does not change with later inputs", async () => {
    for (const shortConv of [false, true]) {
      const layer = layerOf({ shortConv, solver: picard({ tol: 1e-12, maxSteps: 1000 }) });
      const params = layer.init(key(4));
      const run = (p: Params<Tracer>, u: Tracer): Tracer => layer.apply(p, u).y;
      const x = input([1, 7, 4]);
      const before = await device.get(await device.run(run, params, x));
      x.data.fill(3, 5 * 4);
      const after = await device.get(await device.run(run, params, x));
      const early = 5 * 4;
      before.data.slice(0, early).forEach((value, i) => expect(after.data[i]).toBeCloseTo(value, 10));
      expect(distance(before, after)).toBeGreaterThan(1e-3);
    }
  });

  it.each([
    [[2, 0, 4], /is empty; give at least one sequence of one step/],
    [[0, 3, 4], /is empty/],
    [[2, 3, 5], /the input must be \[batch, time, 4\], got float64\[2,3,5\]/],
    [[3, 4], /the input must be \[batch, time, 4\]/],
  ])("refuses an input of shape %j", async (shape, message) => {
    const layer = layerOf();
    const run = device.run((p: Params<Tracer>, u: Tracer) => layer.apply(p, u).y, layer.init(key(0)), input(shape));
    await expect(run).rejects.toThrow(message);
  });

  it.each([
    [{ dModel: 0 }, /dModel must be a positive integer, got 0/],
    [{ dModel: 4, expand: 0.3 }, /expand \* dModel must be a positive integer/],
  ])("refuses %o", (sizes, message) => {
    expect(() => fpRnn({ ...sizes, mixer: householder() })).toThrow(message);
  });

  it("works on one sequence of one step", async () => {
    const layer = layerOf();
    const result = await device.get(
      await device.run((p: Params<Tracer>, u: Tracer) => layer.apply(p, u), layer.init(key(0)), input([1, 1, 4])),
    );
    expect(result.y.shape).toEqual([1, 1, 4]);
    expect(result.state.y.shape).toEqual([1, 8]);
  });

  it.each([
    ["y of another batch", false, { y: [1, 8] }, /fpRnn: state.y must be float64\[2,8\], got float64\[1,8\]/],
    ["y of one channel", false, { y: [2, 1] }, /fpRnn: state.y must be float64\[2,8\], got float64\[2,1\]/],
    ["no inputs of convolutions", true, { y: [2, 8] }, /fpRnn: state.conv is missing/],
  ] as const)("refuses a state with %s", async (_, shortConv, { y }, message) => {
    const layer = layerOf({ shortConv });
    const run = device.run(
      (p: Params<Tracer>, u: Tracer, carried: Tracer) => layer.apply(p, u, { y: carried }).y,
      layer.init(key(0)),
      input(),
      random.normal(key(1), y, { dtype }),
    );
    await expect(run).rejects.toThrow(message);
  });

  it("refuses parameters with short convolutions that the layer has not, without those it has, and with some", async () => {
    const run = async (params: Params<HostTensor>, shortConv: boolean): Promise<void> => {
      const layer = layerOf({ shortConv });
      await device.run((p: Params<Tracer>, u: Tracer) => layer.apply(p, u).y, params, input());
    };
    const [with5, without] = [true, false].map((shortConv) => layerOf({ shortConv }).init(key(0)));
    await expect(run(with5!, false)).rejects.toThrow(
      /^fpRnn: params.conv1d_x, .*params.conv1d_c given, but the layer has no short convolutions/,
    );
    await expect(run(without!, true)).rejects.toThrow(/^fpRnn: no params.conv1d_x, .*params.conv1d_c; a layer with/);
    const { conv1d_mixer: _, ...four } = with5!;
    await expect(run(four, true)).rejects.toThrow(/^fpRnn: no params.conv1d_mixer; a layer with/);
    await expect(run(four, false)).rejects.toThrow(ShapeError);
  });

  it("refuses an unknown argument with the valid ones", () => {
    expect(() => layerOf({ argument: "symm" } as never)).toThrow(
      /fpRnn: argument must be one of concatenated, symmetric, input; got symm/,
    );
  });
});
