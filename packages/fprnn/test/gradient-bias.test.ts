import { type HostTensor, key, random, type Tracer, treeLeaves } from "@banach/autograd";
import { reference } from "@banach/autograd/reference";
import { wasm } from "@banach/backend-wasm";
import { describe, expect, it } from "vitest";
import {
  ADJOINT_STATUSES,
  type Bias,
  fpMamba,
  fpRnn,
  gmres,
  gradientBias,
  type GradientBiasOptions,
  householder,
  implicit,
  picard,
  sequential,
  STATUSES,
  throughTime,
  truncated,
  unrolled,
} from "../src/index.ts";

const device = await reference();
const dtype = "float64" as const;
const shape = { dModel: 4, mixer: householder({ rank: 2 }), dtype };
const rnn = fpRnn(shape);
const params = rnn.init(key(1));
const input = (seed: number, of: "float32" | "float64" = dtype): HostTensor =>
  random.normal(key(seed), [2, 6, 4], { dtype: of });

const exact = { tol: 1e-13, maxSteps: 2000 };
const report =
  (options: GradientBiasOptions, layer = rnn) =>
  (p: Parameters<typeof rnn.parts>[0], x: Tracer) =>
    gradientBias(layer, p, x, options);

const biasOf = async (options: GradientBiasOptions) => device.get(await device.run(report(options), params, input(2)));

describe("gradientBias", () => {
  it.each<[string, GradientBiasOptions]>([
    ["implicit", { solver: picard(exact), adjoint: implicit({ tol: 1e-12, maxSteps: 2000 }) }],
    ["unrolled", { solver: picard(exact), adjoint: unrolled({ steps: 300 }) }],
    ["throughTime, local implicit", { solver: sequential(exact), adjoint: throughTime({ local: "implicit" }) }],
  ])("finds no bias in %s", async (_, options) => {
    const bias = await biasOf(options);
    const all = [bias.overall, bias.input, ...biases(bias.parameters)];
    expect(all.length).toBeGreaterThan(8);
    for (const { cosine, normRatio } of all) {
      expect(cosine.item()).toBeCloseTo(1, 7);
      expect(normRatio.item()).toBeCloseTo(1, 3);
    }
    expect(Array.from(bias.exact.adjoint!.status.data, (code) => ADJOINT_STATUSES[code])).toEqual([
      "converged",
      "converged",
    ]);
  });

  it("shows the bias of the cheap ones, less with more steps and more by parameter than overall", async () => {
    const [one, three] = [
      await biasOf({ solver: picard(exact), adjoint: truncated({ steps: 1 }) }),
      await biasOf({ solver: picard(exact), adjoint: truncated({ steps: 3 }) }),
    ];
    const [a, b] = [one.overall.cosine.item(), three.overall.cosine.item()];
    expect(a).toBeLessThan(b);
    expect(b).toBeLessThan(1 - 1e-6);
    expect(Math.min(...biases(one.parameters).map(({ cosine }) => cosine.item()))).toBeLessThan(a);
    expect(one.adjoint).toBeNull();
    expect(Array.from(one.forward.status.data, (code) => STATUSES[code])).toEqual(["converged", "converged"]);
  });

  it("takes any loss, and any exact gradient", async () => {
    const weights = input(9);
    const options: GradientBiasOptions = {
      solver: picard(exact),
      loss: (y) => y.mul(weights).sum(),
      exact: { adjoint: unrolled({ steps: 300 }) },
    };
    const bias = await biasOf(options);
    const same = await biasOf({
      solver: picard(exact),
      loss: (y) => y.mul(weights).sum(),
      exact: {
        solver: picard(exact),
        adjoint: implicit({ solver: gmres({ tol: 1e-12, maxSteps: 300, restart: 50 }) }),
      },
    });
    expect(bias.overall.cosine.item()).toBeCloseTo(same.overall.cosine.item(), 9);
    expect(bias.overall.normRatio.item()).toBeCloseTo(same.overall.normRatio.item(), 9);
    expect(bias.exact.adjoint).toBeNull();
    expect(bias.overall.cosine.item()).not.toBeCloseTo(
      (await biasOf({ solver: picard(exact) })).overall.cosine.item(),
      4,
    );
  });

  it("is 1 where both gradients are zero", async () => {
    const bias = await biasOf({ loss: (y) => y.mul(0).sum() });
    for (const { cosine, normRatio } of [bias.overall, bias.input, ...biases(bias.parameters)]) {
      expect([cosine.item(), normRatio.item()]).toEqual([1, 1]);
    }
  });

  it("is computed on another device, in float32", async () => {
    await using other = await wasm({ threads: 1 });
    const layer = fpMamba({ dModel: 4, dState: 4, mixer: householder({ rank: 2 }) });
    const run = (p: Parameters<typeof layer.parts>[0], x: Tracer) =>
      gradientBias(layer, p, x, { solver: sequential({ tol: 1e-5, maxSteps: 300 }), adjoint: throughTime() });
    const bias = await other.get(await other.run(run, layer.init(key(3)), input(4, "float32")));
    const [cosine, ratio] = [bias.overall.cosine.item(), bias.overall.normRatio.item()];
    expect(cosine).toBeGreaterThan(0.3);
    expect(cosine).toBeLessThan(1);
    expect(ratio).toBeGreaterThan(0.1);
    expect(Array.from(bias.exact.adjoint!.status.data)).toEqual([0, 0]);
  });

  it("has an exact gradient to compare with in float32, though one step of one sequence is close to singular", async () => {
    await using other = await wasm({ threads: 1 });
    const layer = fpMamba({ dModel: 64, expand: 1, mixer: householder({ rank: 4, gain: 2 }) });
    const solver = sequential({ tol: 1e-5, maxSteps: 300 });
    const run = (p: Parameters<typeof layer.parts>[0], x: Tracer) =>
      gradientBias(layer, p, x, { solver, adjoint: throughTime({ local: "implicit" }) });
    const x = random.normal(key(103), [32, 16, 64]);
    const bias = await other.get(await other.run(run, layer.init(key(3)), x));
    for (const { cosine, normRatio } of [bias.overall, bias.input, ...biases(bias.parameters)]) {
      expect(cosine.item()).toBeGreaterThan(-1.001);
      expect(normRatio.item()).toBeGreaterThan(0);
    }
    // The singular step is taken for what it is only by the adjoint in question, and told of.
    expect(bias.adjoint!.status.data.includes(ADJOINT_STATUSES.indexOf("nearSingular"))).toBe(true);
    expect(Math.max(...bias.exact.adjoint!.gain.data)).toBeGreaterThan(1e4);
  });

  it("refuses a solver and an adjoint that do not fit", async () => {
    const wrong = { solver: picard(), adjoint: throughTime() } as unknown as GradientBiasOptions;
    await expect(biasOf(wrong)).rejects.toThrow(/throughTime needs a solver that steps through time/);
  });
});

function biases(tree: unknown): readonly Bias<HostTensor>[] {
  const leaves = treeLeaves<HostTensor>(tree as never);
  const places = [...new Set(leaves.map(({ path }) => path.replace(/\.[^.]*$/, "")))];
  const at = (path: string): HostTensor => leaves.find((leaf) => leaf.path === path)!.leaf;
  return places.map((place) => ({ cosine: at(`${place}.cosine`), normRatio: at(`${place}.normRatio`) }));
}
