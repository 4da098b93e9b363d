/** TensorFlow.js on its WASM backend. It has no scan over time: recurrences double their step, the fastest form found. */
import { createRequire } from "node:module";
// Not part of the entry for Node.
import "@tensorflow/tfjs-core/dist/register_all_gradients.js";
import type * as Tfjs from "@tensorflow/tfjs-core";
import type { Tensor, Tensor3D } from "@tensorflow/tfjs-core";
import type { Framework } from "../framework.ts";
import { inputsOf, type Work } from "../work.ts";

const require = createRequire(import.meta.url);
// The CommonJS build: its ES modules do not load in Node.
const tf = require("@tensorflow/tfjs-core") as typeof Tfjs;

type Program = (...inputs: Tensor[]) => Tensor[];

function programOf(work: Work): Program | undefined {
  switch (work.kind) {
    case "gemm": {
      // A product with its own transposition flags runs at 0.5 GFLOP/s; transposing first is what a user would do.
      const flip = (x: Tensor | undefined, side: "left" | "right"): Tensor =>
        work.transposed === side ? tf.transpose(required(x)) : required(x);
      return (a, b) => [tf.matMul(flip(a, "left"), flip(b, "right"))];
    }
    case "batched-gemm":
      return (a, b) => [tf.matMul(required(a), required(b))];
    case "silu":
      return (x, y, z) => [tf.add(tf.mul(tf.mul(required(x), tf.sigmoid(required(x))), required(y)), required(z))];
    case "layer-norm":
      return (x, weight, bias) => [layerNorm(required(x), required(weight), required(bias))];
    case "recurrence":
      return (a, b) => [recurrence(required(a) as Tensor3D, required(b) as Tensor3D)];
    case "recurrence-gradient":
      return (a, b, cotangent) => {
        const value = recurrence(required(a) as Tensor3D, required(b) as Tensor3D);
        const gradient = tf.grads((a: Tensor, b: Tensor) => recurrence(a as Tensor3D, b as Tensor3D));
        return [value, ...gradient([required(a), required(b)], required(cotangent))];
      };
    case "mlp":
      return mlpStep;
    case "tiny":
      return (x) => [tf.add(tf.mul(required(x), 2), 1)];
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

function required(x: Tensor | undefined): Tensor {
  if (x === undefined) throw new RangeError("an input is missing");
  return x;
}

function layerNorm(x: Tensor, weight: Tensor, bias: Tensor): Tensor {
  const centred = tf.sub(x, tf.mean(x, -1, true));
  const variance = tf.mean(tf.square(centred), -1, true);
  return tf.add(tf.mul(tf.mul(centred, tf.rsqrt(tf.add(variance, 1e-5))), weight), bias);
}

function recurrence(a: Tensor3D, b: Tensor3D): Tensor3D {
  const [batch, time, channels] = b.shape;
  const later = (x: Tensor3D, step: number): Tensor3D =>
    tf.pad(tf.slice(x, [0, 0, 0], [batch, time - step, channels]), [
      [0, 0],
      [step, 0],
      [0, 0],
    ]);
  let h = b;
  for (let step = 1; step < time; step *= 2) {
    h = tf.add(h, tf.mul(a, later(h, step)));
    if (2 * step < time) a = tf.mul(a, later(a, step));
  }
  return h;
}

const mlpStep: Program = (...inputs) => {
  const [x, targets] = [required(inputs[0]), required(inputs[1])];
  const params = inputs.slice(2);
  const loss = (...weights: Tensor[]): Tensor => {
    let h = x;
    for (let i = 0; i < weights.length; i += 2) {
      h = tf.add(tf.matMul(i === 0 ? h : tf.relu(h), required(weights[i])), required(weights[i + 1]));
    }
    return tf.mul(tf.sum(tf.mul(tf.logSoftmax(h), targets)), -1 / x.shape[0]);
  };
  const { value, grads } = tf.valueAndGrads(loss)(params);
  return [value, ...params.map((p, i) => tf.sub(p, tf.mul(required(grads[i]), 0.01)))];
};

export async function tfjs(version: string): Promise<Framework> {
  require("@tensorflow/tfjs-backend-wasm");
  await tf.setBackend("wasm");
  await tf.ready();
  return {
    name: "tfjs",
    version,
    prepare: (work) => {
      const program = programOf(work);
      if (program === undefined) return Promise.resolve(undefined);
      const inputs = inputsOf(work).map(({ shape, data }) => tf.tensor(data, [...shape]));
      const call = (): Tensor[] => tf.tidy(() => program(...inputs));
      return Promise.resolve({
        run: () => tf.dispose(call()),
        result: async () => {
          const results = call();
          const data = (await required(results[0]).data()).slice();
          tf.dispose(results);
          return data;
        },
        dispose: () => tf.dispose(inputs),
      });
    },
  };
}
