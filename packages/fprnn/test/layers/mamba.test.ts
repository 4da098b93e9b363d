import { array, grad, type HostTensor, key, random, type Tracer, treeLeaves } from "@banach/autograd";
import { reference } from "@banach/autograd/reference";
import { describe, expect, it } from "vitest";
import { mamba, type MambaOptions, type MambaParams, type MambaState } from "../../src/index.ts";
import { distance } from "../problems.ts";

const device = await reference();
type Params<T> = MambaParams<T>;
const dtype = "float64" as const;

const layerOf = (options: Partial<MambaOptions> = {}) => mamba({ dModel: 4, expand: 2, dState: 3, dtype, ...options });

const input = (shape = [2, 7, 4]): HostTensor => random.normal(key(5), shape, { dtype });

const VARIANTS = [{ shortConv: true }, { shortConv: false }] as const;

describe("mamba", () => {
  it.each(VARIANTS)("goes on from its state as if never cut: %j", async (variant) => {
    const layer = layerOf(variant);
    const whole = (p: Params<Tracer>, u: Tracer) => layer.apply(p, u);
    const pieces = (p: Params<Tracer>, u: Tracer) => {
      const outputs: Tracer[] = [];
      let state: MambaState<Tracer> | undefined;
      for (const [from, to] of [
        [0, 2],
        [2, 3],
        [3, 7],
      ] as const) {
        const result = layer.apply(p, u.sliceAxis(1, from, to), state);
        state = result.state;
        outputs.push(result.y);
      }
      return { outputs, state };
    };
    const params = layer.init(key(1));
    const expected = await device.get(await device.run(whole, params, input()));
    const { outputs, state } = await device.get(await device.run(pieces, params, input()));
    const joined = (b: number): number[] => outputs.flatMap((y) => (y.toNested() as number[][][])[b]!.flat());
    [...joined(0), ...joined(1)].forEach((value, i) => expect(value).toBeCloseTo(expected.y.data[i]!, 12));
    const others = treeLeaves<HostTensor>(state as never);
    treeLeaves<HostTensor>(expected.state).forEach(({ path, leaf }, i) =>
      expect(distance(leaf, others[i]!.leaf), path).toBeLessThan(1e-12),
    );
  });

  it("computes H_t = exp(dt A) H_{t-1} + dt x B, read by C, for one channel and one state", async () => {
    const layer = mamba({ dModel: 1, expand: 1, dState: 1, shortConv: false, dtype });
    const of = (value: number, shape: readonly number[]): HostTensor =>
      array(
        Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => value + i / 8),
        { shape, dtype },
      );
    const params: Params<HostTensor> = {
      in_proj: { weight: of(0.5, [2, 1]) },
      x_proj: { weight: of(0.7, [3, 1]) },
      dt_proj: { weight: of(0.3, [1, 1]), bias: of(-1, [1]) },
      A_log: of(0.2, [1, 1]),
      D: of(0.9, [1]),
      out_proj: { weight: of(1.1, [1, 1]) },
    };
    const u = [0.3, -1.2, 0.8];
    const run = (p: Params<Tracer>, x: Tracer): Tracer => layer.apply(p, x).y;
    const { data } = await device.get(await device.run(run, params, array([u.map((value) => [value])], { dtype })));
    const silu = (x: number): number => x / (1 + Math.exp(-x));
    let h = 0;
    u.forEach((value, t) => {
      const [x, z] = [0.5 * value, 0.625 * value];
      const [r, b, c] = [0.7 * x, 0.825 * x, 0.95 * x];
      const dt = Math.log1p(Math.exp(0.3 * r - 1));
      h = Math.exp(-dt * Math.exp(0.2)) * h + dt * x * b;
      expect(data[t]).toBeCloseTo(1.1 * (h * c + 0.9 * x) * silu(z), 13);
    });
  });

  it.each(VARIANTS)("gives every parameter a finite gradient: %j", async (variant) => {
    const layer = layerOf(variant);
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

  it("has no solver, and says so", async () => {
    const layer = layerOf();
    const run = (p: Params<Tracer>, u: Tracer) => layer.apply(p, u, undefined, { tol: 0, maxSteps: 1 });
    const { y, stats, state } = await device.get(await device.run(run, layer.init(key(0)), input([1, 1, 4])));
    expect(stats).toBeNull();
    expect([y.shape, state.h.shape, state.conv!.shape]).toEqual([
      [1, 1, 4],
      [1, 3, 8],
      [1, 3, 8],
    ]);
  });

  it("starts as its authors' does", () => {
    const layer = layerOf({ dModel: 20 });
    const { dt_proj, A_log, D, x_proj, in_proj, out_proj, conv1d } = layer.init(key(0));
    expect(dt_proj.weight.shape).toEqual([40, 2]);
    expect(x_proj.weight.shape).toEqual([2 + 6, 40]);
    dt_proj.bias!.data.forEach((bias) => {
      const dt = Math.log1p(Math.exp(bias));
      expect(dt).toBeGreaterThanOrEqual(1e-3 * (1 - 1e-9));
      expect(dt).toBeLessThanOrEqual(1e-1 * (1 + 1e-9));
    });
    expect((A_log.toNested() as number[][])[39]).toEqual([0, Math.log(2), Math.log(3)]);
    expect(D.data.every((value) => value === 1)).toBe(true);
    const largest = ({ data }: HostTensor): number => Math.max(...Array.from(data, Math.abs));
    expect(largest(in_proj.weight)).toBeCloseTo(1 / Math.sqrt(20), 2);
    expect(largest(conv1d!.weight)).toBeCloseTo(1 / 2, 1);
    const deep = layer.init(key(0), { depth: 4 }).out_proj.weight;
    deep.data.forEach((value, i) => expect(value).toBe(out_proj.weight.data[i]! / 2));
  });

  it.each([
    [[2, 0, 4], /mamba: the input .* is empty; give at least one sequence of one step/],
    [[0, 3, 4], /is empty/],
    [[2, 3, 5], /mamba: the input must be \[batch, time, 4\], got float64\[2,3,5\]/],
    [[3, 4], /the input must be \[batch, time, 4\]/],
  ])("refuses an input of shape %j", async (shape, message) => {
    const layer = layerOf();
    const run = device.run((p: Params<Tracer>, u: Tracer) => layer.apply(p, u).y, layer.init(key(0)), input(shape));
    await expect(run).rejects.toThrow(message);
  });

  it.each([
    [{ dModel: 0 }, /mamba: dModel must be a positive integer, got 0/],
    [{ dModel: 4, expand: 0.3 }, /expand \* dModel must be a positive integer/],
    [{ dModel: 4, dState: 0 }, /dState must be a positive integer, got 0/],
  ])("refuses %o", (sizes, message) => {
    expect(() => mamba(sizes)).toThrow(message);
  });

  it.each([
    ["an H the other way round", [2, 8, 3], true, /mamba: state.h must be float64\[2,3,8\], got float64\[2,8,3\]/],
    ["an H of another batch", [1, 3, 8], true, /mamba: state.h must be float64\[2,3,8\]/],
    ["no inputs of the convolution", [2, 3, 8], true, /mamba: state.conv is missing/],
  ] as const)("refuses a state with %s", async (_, shape, shortConv, message) => {
    const layer = layerOf({ shortConv });
    const run = device.run(
      (p: Params<Tracer>, u: Tracer, h: Tracer) => layer.apply(p, u, { h }).y,
      layer.init(key(0)),
      input(),
      random.normal(key(1), shape, { dtype }),
    );
    await expect(run).rejects.toThrow(message);
  });

  it.each([
    [true, /mamba: params.conv1d is missing; pass shortConv: false/],
    [false, /mamba: params.conv1d is given, but the layer has no short convolution/],
  ])("refuses parameters of a layer that differs in its convolution, shortConv %j", async (shortConv, message) => {
    const params = layerOf({ shortConv: !shortConv }).init(key(0));
    const layer = layerOf({ shortConv });
    const run = device.run((p: Params<Tracer>, u: Tracer) => layer.apply(p, u).y, params, input());
    await expect(run).rejects.toThrow(message);
  });
});
