import { describe, expect, it } from "vitest";
import { ArgumentError, DTypeError, ShapeError, TreeError } from "../../src/errors.ts";
import { adamw, decayAllButNorms } from "../../src/optim/adamw.ts";
import type { Optimizer } from "../../src/optim/optimizer.ts";
import { cosine } from "../../src/optim/schedule.ts";
import { sgd } from "../../src/optim/sgd.ts";
import { array, type HostTensor } from "../../src/runtime/host-tensor.ts";
import { traceOpen } from "../../src/trace/builder.ts";
import { f64, randn, relativeError } from "../nn/evaluate.ts";

interface Params {
  readonly layer: { readonly weight: HostTensor; readonly bias: HostTensor };
}

const params: Params = { layer: { weight: randn(1, [2, 3]), bias: randn(2, [3]) } };
const gradsAt = (step: number): Params => ({
  layer: { weight: randn(10 + step, [2, 3]), bias: randn(50 + step, [3]) },
});

function run(optimizer: Optimizer, steps: number): { params: Params; step: number } {
  let current = params;
  let state = optimizer.init(current);
  for (let i = 0; i < steps; i++) ({ params: current, state } = optimizer.update(gradsAt(i), state, current));
  return { params: current, step: state.step.item() };
}

/** AdamW on one array, in plain JavaScript. */
function plain(name: "weight" | "bias", steps: number, rate: (step: number) => number, decay: number): Float64Array {
  const p = Float64Array.from(params.layer[name].data);
  const [m, v] = [p.map(() => 0), p.map(() => 0)];
  for (let i = 0; i < steps; i++) {
    const g = gradsAt(i).layer[name].data;
    for (let j = 0; j < p.length; j++) {
      m[j] = 0.9 * m[j]! + 0.1 * g[j]!;
      v[j] = 0.999 * v[j]! + 0.001 * g[j]! ** 2;
      const [mHat, vHat] = [m[j]! / (1 - 0.9 ** (i + 1)), v[j]! / (1 - 0.999 ** (i + 1))];
      p[j]! *= 1 - rate(i) * decay;
      p[j]! -= (rate(i) * mHat) / (Math.sqrt(vHat) + 1e-8);
    }
  }
  return p;
}

describe("adamw", () => {
  it("is a plain loop, to 1e-12", () => {
    const result = run(adamw({ learningRate: 0.01, weightDecay: 0.1, decay: decayAllButNorms }), 5);
    expect(result.step).toBe(5);
    expect(
      relativeError(
        result.params.layer.weight.data,
        plain("weight", 5, () => 0.01, 0.1),
      ),
    ).toBeLessThan(1e-12);
    expect(
      relativeError(
        result.params.layer.bias.data,
        plain("bias", 5, () => 0.01, 0),
      ),
    ).toBeLessThan(1e-12);
  });

  it("keeps float64 learning rates, from schedules too", () => {
    const rate = (step: number): number => 0.05 * (1 + Math.cos((Math.PI * step) / 4));
    const result = run(adamw({ learningRate: cosine({ peak: 0.1, steps: 4 }) }), 6);
    const expected = plain("weight", 6, (step) => rate(Math.min(step, 4)), 0.01);
    expect(relativeError(result.params.layer.weight.data, expected)).toBeLessThan(1e-12);
  });

  it("is exact in float32 from the first step", () => {
    const one = array([1]);
    const optimizer = adamw({ learningRate: 0.1, weightDecay: 0 });
    const { params: after } = optimizer.update(array([1]), optimizer.init(one), one);
    // Not 0.9 - 0.1 * 2e-5, as 1 - 0.999 computed in float32 would give.
    expect(after.item()).toBeCloseTo(0.9, 7);
  });

  it("keeps the types of parameters and state", () => {
    const mixed = { a: array([1]), b: f64([1], [1]) };
    const optimizer = adamw({ learningRate: cosine({ peak: 0.1, steps: 10 }) });
    const state = optimizer.init(mixed);
    expect([state.slots["mean"]?.a.dtype, state.slots["variance"]?.b.dtype]).toEqual(["float32", "float64"]);
    const next = optimizer.update(mixed, state, mixed);
    expect([next.params.a.dtype, next.params.b.dtype]).toEqual(["float32", "float64"]);
    expect(next.state.step.dtype).toBe("int32");
    expect(next.params.a.item()).toBeCloseTo(next.params.b.item(), 6);
  });

  it("does the same inside a trace", () => {
    const optimizer = adamw({ learningRate: 0.1 });
    const type = { dtype: "float32" as const, shape: [3] };
    const { graph } = traceOpen([type, type], ([p, g]) => {
      const { params: after, state } = optimizer.update({ p: g! }, optimizer.init({ p: p! }), { p: p! });
      return [after.p, state.slots["mean"]!.p];
    });
    expect(graph.outputs.map((atom) => atom.type)).toEqual([type, type]);
  });

  it("refuses trees that do not fit, naming the leaf", () => {
    const optimizer = adamw({ learningRate: 0.1 });
    const state = optimizer.init({ a: array([1]) });
    const update = (grads: object): unknown => optimizer.update<object>(grads, state, { a: array([1]) });
    expect(() => update({ b: array([1]) })).toThrow(TreeError);
    expect(() => update({ a: array([1, 2]) })).toThrow(ShapeError);
    expect(() => update({ a: f64([1], [1]) })).toThrow(/'a' is float64\[1\], the parameter float32\[1\]/);
    expect(() => optimizer.init({ n: array([1], { dtype: "int32" }) })).toThrow(DTypeError);
    expect(() =>
      sgd({ learningRate: 1, momentum: 0.9 }).update(array([1]), optimizer.init(array([1])), array([1])),
    ).toThrow(/no slot 'velocity' but \[mean, variance\]/);
  });

  it("refuses leaves that are no tensors, and names what is missing", () => {
    const optimizer = adamw({ learningRate: 0.1 });
    expect(() => optimizer.init({ k: 1 })).toThrow(DTypeError);
    expect(() => optimizer.init({ layer: { k: 1 } })).toThrow(/parameter 'layer.k' is a number, not a tensor/);
    expect(() => optimizer.init([Float32Array.of(1)])).toThrow(/parameter '0' is an instance of Float32Array/);
    const params = { a: array([1]), layer: { b: array([2]) } };
    const state = optimizer.init<object>(params);
    const update = (grads: object): unknown => optimizer.update<object>(grads, state, params);
    expect(() => update({ a: array([1]), layer: { b: 2 } })).toThrow(/gradient of 'layer.b' is a number/);
    expect(() => update({ a: array([1]), layer: {} })).toThrow(/at 'layer.b': it has nothing, tree 0 a leaf/);
  });

  it("refuses options outside their domains", () => {
    expect(() => adamw({ learningRate: -1 })).toThrow(ArgumentError);
    expect(() => adamw({ learningRate: Number.NaN })).toThrow(ArgumentError);
    expect(() => adamw({ learningRate: 1, betas: [0.9, 1] })).toThrow(ArgumentError);
    expect(() => adamw({ learningRate: 1, eps: 0 })).toThrow(ArgumentError);
    expect(() => adamw({ learningRate: 1, weightDecay: -0.1 })).toThrow(ArgumentError);
  });
});

describe("decayAllButNorms", () => {
  it("spares biases, norms and state-space scales", () => {
    const spared = [
      "bias",
      "layers.0.dt_bias",
      "norm_f.weight",
      "layers.1.norm.weight",
      "layers.0.A_log",
      "Dskip",
      "mixer.D",
    ];
    expect(spared.filter(decayAllButNorms)).toEqual([]);
    const decayed = ["weight", "embedding.weight", "u_proj.v", "u_proj.g", "mixer.Delta"];
    expect(decayed.filter(decayAllButNorms)).toEqual(decayed);
  });
});

describe("sgd", () => {
  it("steps down the gradient", () => {
    const result = run(sgd({ learningRate: 0.5 }), 2).params.layer.bias.data;
    const expected = params.layer.bias.data.map(
      (p, j) => p - 0.5 * (gradsAt(0).layer.bias.data[j]! + gradsAt(1).layer.bias.data[j]!),
    );
    expect(relativeError(result, expected)).toBeLessThan(1e-14);
    expect(sgd({ learningRate: 0.5 }).init(params).slots).toEqual({});
  });

  it("gathers momentum", () => {
    const optimizer = sgd({ learningRate: 0.1, momentum: 0.5 });
    let current = f64([1], [1]);
    let state = optimizer.init(current);
    for (let i = 0; i < 3; i++) ({ params: current, state } = optimizer.update(f64([1], [1]), state, current));
    expect(current.item()).toBeCloseTo(1 - 0.1 * (1 + 1.5 + 1.75), 14);
    expect(() => sgd({ learningRate: 0.1, momentum: 1 })).toThrow(ArgumentError);
  });
});
