import {
  ArgumentError,
  array,
  type HostTensor,
  key,
  random,
  type Tracer,
  treeLeaves,
  valueAndGrad,
} from "@banach/autograd";
import { reference } from "@banach/autograd/reference";
import { wasm } from "@banach/backend-wasm";
import { describe, expect, it } from "vitest";
import {
  type CausalAdjoint,
  dplr,
  fpMamba,
  fpRnn,
  householder,
  kronecker,
  type Mixer,
  sequential,
  STATUSES,
  throughTime,
} from "../../src/index.ts";
import { distance } from "../problems.ts";

const dtype = "float64";
const device = await reference();
const direct = sequential({ local: "direct", tol: 1e-9 });
const iterative = sequential({ tol: 1e-13, maxSteps: 2000 });
const x = random.normal(key(5), [3, 7, 4], { dtype });

const layerOf = <M extends Mixer>(mixer: M, solver = direct, adjoint: CausalAdjoint = throughTime()) =>
  fpRnn({ dModel: 4, mixer, dtype, solver, adjoint });

async function applied(mixer: Mixer, solver = direct, adjoint?: CausalAdjoint) {
  const layer = layerOf(mixer, solver, adjoint);
  type Params = Parameters<typeof layer.apply>[0];
  const params = layer.init(key(3));
  const run = valueAndGrad((p: Params, input: Tracer) => {
    const { y, stats } = layer.apply(p, input);
    return { loss: y.mul(y).sum(), y, stats };
  });
  return device.get(await device.run(run, params as never, x));
}

describe.each<[string, Mixer]>([
  ["householder of rank 1", householder()],
  ["householder of rank 3", householder({ rank: 3 })],
  ["dplr of rank 2", dplr({ rank: 2 })],
])("local direct, %s", (_, mixer) => {
  it("finds what iteration finds, without any, and says how well", async () => {
    const [found, expected] = [await applied(mixer), await applied(mixer, iterative)];
    expect(distance(found.value.y, expected.value.y)).toBeLessThan(1e-11);
    expect(Array.from(found.value.stats.iterations.data)).toEqual([0, 0, 0]);
    expect(Array.from(found.value.stats.status.data, (code) => STATUSES[code]!)).toEqual(Array(3).fill("converged"));
    expect(Math.max(...found.value.stats.residual.data)).toBeLessThan(1e-12);
  });

  it.each<[string, CausalAdjoint]>([
    ["step", throughTime()],
    ["implicit", throughTime({ local: "implicit" })],
  ])("has the gradient of iteration: local %s", async (__, adjoint) => {
    const [found, expected] = [await applied(mixer, direct, adjoint), await applied(mixer, iterative, adjoint)];
    const flat = (tree: unknown): number[] =>
      treeLeaves(tree as HostTensor).flatMap(({ leaf }) => Array.from(leaf.data));
    const [a, b] = [flat(found.grad), flat(expected.grad)];
    const scale = Math.max(...b.map(Math.abs));
    expect(Math.max(...a.map((v, i) => Math.abs(v - b[i]!)))).toBeLessThan(1e-9 * scale);
  });
});

it("solves where iteration runs away", async () => {
  const mixer = householder({ rank: 1, gain: 2 });
  const layer = layerOf(mixer);
  const params = layer.init(key(3));
  // lambda near 0 and alpha near 1: the local map has the slope -1.9.
  const biased = {
    ...params,
    lambda_proj: { ...params.lambda_proj, bias: array(Float64Array.from({ length: 8 }, () => -6)) },
    mixer: { ...params.mixer, alpha_proj: { ...params.mixer.alpha_proj, bias: array(Float64Array.of(4)) } },
  };
  const run = (solver: typeof direct) =>
    device.run(
      (p: Parameters<typeof layer.apply>[0], input: Tracer) => layerOf(mixer, solver).apply(p, input).stats,
      biased,
      x,
    );
  const worst = async (solver: typeof direct): Promise<string> => {
    const { status } = await device.get(await run(solver));
    return STATUSES[Math.max(...status.data)]!;
  };
  expect(await worst(iterative)).not.toBe("converged");
  expect(await worst(direct)).toBe("converged");
});

it("is the same in float32 on WASM", async () => {
  await using fast = await wasm({ threads: 1 });
  const layer = fpRnn({ dModel: 4, mixer: householder({ rank: 2 }), solver: direct, adjoint: throughTime() });
  const params = layer.init(key(3));
  const input = random.normal(key(5), [3, 7, 4]);
  const run = (p: Parameters<typeof layer.apply>[0], at: Tracer) => layer.apply(p, at).y;
  const [a, b] = [await device.run(run, params, input), await fast.run(run, params, input)];
  expect(distance(await fast.get(b), await device.get(a))).toBeLessThan(1e-5);
});

it.each<[string, () => unknown, RegExp]>([
  [
    "another method",
    () => sequential({ local: "newton" as never }),
    /local must be one of iterative, direct; got newton/,
  ],
  ["a trace", () => sequential({ local: "direct", trace: true }), /no iterations that could be traced/],
])("refuses %s", (_, make, message) => {
  expect(make).toThrow(message);
});

it.each<[string, () => { apply: (p: never, x: Tracer) => unknown; init: (k: HostTensor) => unknown }]>([
  ["a mixer of full rank", () => layerOf(kronecker())],
  [
    "a normalisation in the loop",
    () => fpMamba({ dModel: 4, mixer: householder(), dtype, solver: direct, adjoint: throughTime() }),
  ],
])("refuses a layer without a formula: %s", async (_, make) => {
  const layer = make();
  const run = device.run(
    (p: never, input: Tracer) => (layer.apply(p, input) as { y: Tracer }).y,
    layer.init(key(0)) as never,
    x,
  );
  await expect(run).rejects.toThrow(ArgumentError);
  await expect(run).rejects.toThrow(/local "direct" needs a formula/);
});
