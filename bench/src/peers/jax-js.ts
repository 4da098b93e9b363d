/** jax-js, jitted, on its WASM device or on WebGPU. It has no scan over time: recurrences double their step, the fastest form found. */
import { blockUntilReady, defaultDevice, grad, init, jit, nn, numpy as np } from "@jax-js/jax";
import type { Framework } from "../framework.ts";
import { inputsOf, type Work } from "../work.ts";
import { jaxFpMamba, jaxTask } from "./jax-js-fp-mamba.ts";

type Program = (...inputs: np.Array[]) => np.Array[];

/** Every use of an array but its last says `.ref`. */
function programOf(work: Work): Program | undefined {
  switch (work.kind) {
    case "gemm":
      return two((a, b) => [
        np.matmul(work.transposed === "left" ? np.transpose(a) : a, work.transposed === "right" ? np.transpose(b) : b),
      ]);
    case "batched-gemm":
      return two((a, b) => [np.matmul(a, b)]);
    case "silu":
      return three((x, y, z) => [nn.silu(x).mul(y).add(z)]);
    case "layer-norm":
      return three((x, weight, bias) => [nn.standardize(x, -1).mul(weight).add(bias)]);
    case "recurrence":
      return two((a, b) => [recurrence(a, b)]);
    case "recurrence-gradient":
      return three((a, b, cotangent) => {
        const value = recurrence(a.ref, b.ref);
        const loss = ([a, b]: [np.Array, np.Array]): np.Array => recurrence(a, b).mul(cotangent).sum();
        return [value, ...grad(loss)([a, b])];
      });
    case "mlp":
      return mlpStep;
    case "tiny":
      return (x) => [required(x).mul(2).add(1)];
    case "selective-scan":
    case "plain-sum":
    case "mlp-gemms":
    case "fp-rnn":
    case "a5":
    case "fp-mamba":
    case "while":
      return undefined;
  }
}

function required(x: np.Array | undefined): np.Array {
  if (x === undefined) throw new RangeError("an input is missing");
  return x;
}
const two =
  (f: (a: np.Array, b: np.Array) => np.Array[]): Program =>
  (a, b) =>
    f(required(a), required(b));
const three =
  (f: (a: np.Array, b: np.Array, c: np.Array) => np.Array[]): Program =>
  (a, b, c) =>
    f(required(a), required(b), required(c));

function recurrence(a: np.Array, b: np.Array): np.Array {
  const time = b.shape[1] ?? 0;
  const later = (x: np.Array, step: number): np.Array =>
    np.pad(x.slice([], [0, time - step], []), [
      [0, 0],
      [step, 0],
      [0, 0],
    ]);
  let h = b;
  for (let step = 1; step < time; step *= 2) {
    const last = 2 * step >= time;
    const before = later(h.ref, step);
    const decay = last ? undefined : later(a.ref, step);
    h = h.add((last ? a : a.ref).mul(before));
    if (decay !== undefined) a = a.mul(decay);
  }
  return h;
}

const mlpStep: Program = (...inputs) => {
  const [x, targets] = [required(inputs[0]), required(inputs[1])];
  const params = inputs.slice(2);
  const batch = x.shape[0] ?? 1;
  const loss = (weights: np.Array[]): np.Array => {
    let h = x.ref;
    for (let i = 0; i < weights.length; i += 2) {
      h = np.matmul(i === 0 ? h : nn.relu(h), required(weights[i])).add(required(weights[i + 1]));
    }
    return nn
      .logSoftmax(h)
      .mul(targets.ref)
      .sum()
      .mul(-1 / batch);
  };
  const value = loss(params.map((p) => p.ref));
  const gradient = grad(loss)(params.map((p) => p.ref));
  return [value, ...params.map((p, i) => p.sub(required(gradient[i]).mul(0.01)))];
};

/** @param device for "webgpu", `navigator.gpu` has to be in place; a run then ends when an element of each result is here */
export async function jaxJs(version: string, device: "wasm" | "webgpu" = "wasm"): Promise<Framework> {
  if (!(await init(device)).includes(device)) throw new Error(`jax-js does not start on ${device}`);
  defaultDevice(device);
  return {
    name: "jax-js",
    version,
    prepare: async (work) => {
      if (work.kind === "fp-mamba" && device === "webgpu") {
        return work.use === "forward" ? jaxFpMamba(work) : undefined;
      }
      const program = programOf(work);
      if (program === undefined) return undefined;
      const inputs = inputsOf(work).map(({ shape, data }) => np.array(data).reshape([...shape]));
      await blockUntilReady(inputs);
      const f = jit(program);
      const task = jaxTask(() => f(...inputs.map((x) => x.ref)), { reads: device === "webgpu" });
      const dispose = (): void => {
        for (const input of inputs) input.dispose();
        f.dispose();
      };
      return { ...task, dispose };
    },
  };
}
