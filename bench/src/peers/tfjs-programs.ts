/** Work as programs of TensorFlow.js. It has no scan over time: recurrences double their step, the fastest form found. */
import type * as Tfjs from "@tensorflow/tfjs-core";
import type { Tensor, Tensor3D } from "@tensorflow/tfjs-core";
import type { Task } from "../framework.ts";
import { inputsOf, type Work } from "../work.ts";

export type Tf = typeof Tfjs;

export type Program = (...inputs: Tensor[]) => Tensor[];

/** Programs for a piece of work, of which the fastest is measured: none where it is not offered. */
export function programsOf(tf: Tf, work: Work): readonly Program[] {
  const program = programOf(tf, work);
  return program === undefined ? [] : [program];
}

function programOf(tf: Tf, work: Work): Program | undefined {
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
      return (x, weight, bias) => [layerNorm(tf, required(x), required(weight), required(bias))];
    case "recurrence":
      return (a, b) => [recurrence(tf, required(a) as Tensor3D, required(b) as Tensor3D)];
    case "recurrence-gradient":
      return (a, b, cotangent) => {
        const value = recurrence(tf, required(a) as Tensor3D, required(b) as Tensor3D);
        const gradient = tf.grads((a: Tensor, b: Tensor) => recurrence(tf, a as Tensor3D, b as Tensor3D));
        return [value, ...gradient([required(a), required(b)], required(cotangent))];
      };
    case "mlp":
      return mlpStep(tf);
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

export function required(x: Tensor | undefined): Tensor {
  if (x === undefined) throw new RangeError("an input is missing");
  return x;
}

function layerNorm(tf: Tf, x: Tensor, weight: Tensor, bias: Tensor): Tensor {
  const centred = tf.sub(x, tf.mean(x, -1, true));
  const variance = tf.mean(tf.square(centred), -1, true);
  return tf.add(tf.mul(tf.mul(centred, tf.rsqrt(tf.add(variance, 1e-5))), weight), bias);
}

function recurrence(tf: Tf, a: Tensor3D, b: Tensor3D): Tensor3D {
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

const mlpStep =
  (tf: Tf): Program =>
  (...inputs) => {
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

/** On whatever backend it has been started with. */
export function tfjsTask(tf: Tf, work: Work): Task | undefined {
  const [program] = programsOf(tf, work);
  if (program === undefined) return undefined;
  const inputs = inputsOf(work).map(({ shape, data }) => tf.tensor(data, [...shape]));
  const call = (): Tensor[] => tf.tidy(() => program(...inputs));
  return {
    run: () => tf.dispose(call()),
    result: async () => {
      const results = call();
      const data = (await required(results[0]).data()).slice();
      tf.dispose(results);
      return data;
    },
    dispose: () => tf.dispose(inputs),
  };
}
