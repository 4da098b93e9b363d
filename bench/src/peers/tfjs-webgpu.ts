/** TensorFlow.js on its WebGPU backend, as the page or Node has loaded it. */
import type { Rank, Tensor, Tensor2D, Tensor3D } from "@tensorflow/tfjs-core";
import type { Framework, Task } from "../framework.ts";
import { inputsOf, type Work, type WorkOf } from "../work.ts";
import { fastest } from "./fastest.ts";
import { type FpMambaGiven, fpMambaGiven, type FpMambaInputs } from "./fp-mamba-inputs.ts";
import { type Program, programsOf, required, type Tf } from "./tfjs-programs.ts";

/** @param tf with the backend's module loaded, and `navigator.gpu` in place */
export async function tfjsWebgpu(tf: Tf, version: string): Promise<Framework> {
  if (!(await tf.setBackend("webgpu"))) throw new Error("tfjs does not start its WebGPU backend");
  await tf.ready();
  // Otherwise it computes small tensors on the CPU.
  tf.env().set("WEBGPU_CPU_FORWARD", false);
  return {
    name: "tfjs",
    version,
    prepare: async (work) => {
      if (work.kind === "fp-mamba") return work.use === "forward" ? fpMambaTask(tf, work) : undefined;
      const inputs = inputsOf(work).map(({ shape, data }) => tf.tensor(data, [...shape]));
      const task = await fastest(
        [...programsOf(tf, work), ...loops(tf, work)].map((program) => () => taskOf(tf, () => program(...inputs))),
      );
      return task && { ...task, dispose: () => tf.dispose(inputs) };
    },
  };
}

/** The part of the backend that is used. */
interface Backend extends Record<"endComputePassEncoder" | "submitQueue", () => void> {
  readonly commandEncoder: GPUCommandEncoder | null;
  readonly queue: GPUQueue;
}

/** A run ends when an element of each result is on the host; the backend submits what it has gathered for that. */
function taskOf(tf: Tf, program: () => Tensor[]): Task {
  const call = (): Tensor[] => tf.tidy(program);
  return {
    run: async () => {
      const results = call();
      const firsts = results.map((result) => tf.tidy(() => tf.slice(tf.reshape(result, [-1]), [0], [1])));
      await Promise.all(firsts.map((first) => first.data()));
      tf.dispose([results, firsts]);
    },
    call: async () => {
      const results = call();
      const backend = tf.backend() as unknown as Backend;
      if (backend.commandEncoder !== null) {
        backend.endComputePassEncoder();
        backend.submitQueue();
      }
      await backend.queue.onSubmittedWorkDone();
      tf.dispose(results);
    },
    result: async () => {
      const results = call();
      const data = (await required(results[0]).data()).slice();
      tf.dispose(results);
      return data;
    },
  };
}

/** The recurrence step by step. */
function loops(tf: Tf, work: Work): readonly Program[] {
  if (work.kind !== "recurrence") return [];
  const program: Program = (a, b) => {
    const [decays, drives] = [tf.unstack(required(a), 1), tf.unstack(required(b), 1)];
    let h: Tensor | undefined;
    const states = drives.map(
      (drive, t) => (h = h === undefined ? drive : tf.add(tf.mul(required(decays[t]), h), drive)),
    );
    return [tf.stack(states, 1)];
  };
  return [program];
}

async function fpMambaTask(tf: Tf, work: WorkOf<"fp-mamba">): Promise<Task> {
  const given = await fpMambaGiven(work);
  const names = Object.keys(given.inputs) as (keyof FpMambaInputs)[];
  const inputs = Object.fromEntries(
    names.map((name) => [name, tf.tensor(given.inputs[name].data, [...given.inputs[name].shape])]),
  ) as Record<keyof FpMambaInputs, Tensor>;
  const ids = tf.tensor(given.ids, [given.sizes.batch, given.sizes.time], "int32");
  const task = taskOf(tf, () => [fpMambaForward(tf, given, inputs, ids)]);
  return { ...task, dispose: () => tf.dispose([Object.values(inputs), ids]) };
}

/**
 * Step by step through time, iterating a given number of times at each, as nothing on the device can decide to stop. The
 * mixer is multiplied out to I - U V^T once a step, so that an iteration takes two products; doubling steps over all of
 * time would sweep as often as there are steps.
 */
function fpMambaForward(
  tf: Tf,
  { sizes, gain, iterations }: FpMambaGiven,
  w: Record<keyof FpMambaInputs, Tensor>,
  ids: Tensor,
): Tensor {
  const { batch, time, features, channels, state, rank, dtRank } = sizes;
  const linear = (x: Tensor, weight: Tensor): Tensor => {
    const [rows, columns] = [x.size / (x.shape.at(-1) ?? 1), weight.shape[1] ?? 1];
    return tf.reshape(tf.matMul(tf.reshape(x, [rows, -1]), weight as Tensor2D), [...x.shape.slice(0, -1), columns]);
  };
  const rms = (x: Tensor, weight: Tensor): Tensor =>
    tf.mul(tf.div(x, tf.sqrt(tf.add(tf.mean(tf.square(x), -1, true), 1e-5))), weight);
  const layerNorm = (x: Tensor): Tensor => {
    const centred = tf.sub(x, tf.mean(x, -1, true));
    const scale = tf.rsqrt(tf.add(tf.mean(tf.square(centred), -1, true), 1e-5));
    return tf.add(tf.mul(tf.mul(centred, scale), w.normWeight), w.normBias);
  };
  const silu = (x: Tensor): Tensor => tf.mul(x, tf.sigmoid(x));
  const unit = (x: Tensor): Tensor => tf.div(x, tf.maximum(tf.sqrt(tf.sum(tf.square(x), -1, true)), 1e-5));

  const embedded = tf.gather(w.embedding, ids);
  const [x, z] = tf.split(linear(rms(embedded, w.before), w.inProj), 2, -1) as [Tensor, Tensor];
  const selected = linear(x, w.xProj);
  const dtAll = tf.softplus(tf.add(linear(tf.slice(selected, [0, 0, 0], [batch, time, dtRank]), w.dtProj), w.dtBias));
  const bcFromX = tf.slice(selected, [0, 0, dtRank], [batch, time, 2 * state]);
  const fromX = tf.concat([tf.add(linear(x, w.mixer), w.mixerBias), bcFromX], -1);
  const [xs, dts, projections] = [x, dtAll, fromX].map((each) => tf.unstack(each, 1)) as [Tensor[], Tensor[], Tensor[]];

  let y: Tensor = tf.zeros([batch, channels]);
  let carried: Tensor = tf.zeros([batch, state, channels]);
  const previous: Tensor[] = [];
  const solutions: Tensor[] = [];
  for (let t = 0; t < time; t++) {
    previous.push(y);
    const [xt, dt] = [required(xs[t]), required(dts[t])];
    const p = tf.add(required(projections[t]), tf.matMul(y as Tensor2D, w.hidden as Tensor2D));
    const values = tf.reshape(tf.slice(p, [0, 0], [batch, rank * channels]), [batch, rank, channels]);
    const u = unit(silu(values)) as Tensor3D;
    const strengths = tf.mul(tf.sigmoid(tf.slice(p, [0, rank * channels], [batch, rank])), gain);
    const bc = unit(tf.reshape(tf.slice(p, [0, rank * channels + rank], [batch, 2 * state]), [batch, 2, state]));
    const [b, c] = [0, 1].map((i) => tf.reshape(tf.slice(bc, [0, i, 0], [batch, 1, state]), [batch, state, 1])) as [
      Tensor,
      Tensor,
    ];
    const us = tf.split(u, rank, 1);
    const ss = tf.split(tf.reshape(strengths, [batch, rank, 1]), rank, 1);
    const reflect = (v: Tensor, k: number): Tensor => {
      const [direction, s] = [required(us[k]), required(ss[k])];
      return tf.sub(v, tf.mul(direction, tf.mul(s, tf.sum(tf.mul(direction, v), -1, true))));
    };
    const v = tf.concat(
      us.map((direction, k) => {
        let turned: Tensor = direction;
        for (let j = k - 1; j >= 0; j--) turned = reflect(turned, j);
        return tf.mul(turned, required(ss[k]));
      }),
      1,
    ) as Tensor3D;
    const mix = (y: Tensor): Tensor => {
      const d = tf.reshape<Rank.R3>(tf.sub(xt, y), [batch, 1, channels]);
      const along = tf.matMul(d, v, false, true);
      return tf.reshape(tf.sub(tf.add(d, tf.reshape(y, [batch, 1, channels])), tf.matMul(along, u)), [batch, channels]);
    };
    const decay = tf.exp(tf.mul(tf.reshape(dt, [batch, 1, channels]), w.a));
    const decayed = tf.mul(decay, carried);
    const inherited = tf.sum(tf.mul(decayed, c), 1);
    const factor = tf.add(tf.mul(dt, tf.sum(tf.mul(b, c), 1)), w.skip);
    const local = (mixed: Tensor): Tensor => layerNorm(tf.add(tf.mul(factor, mixed), inherited));
    let solution: Tensor = tf.zerosLike(y);
    for (let i = 0; i < iterations; i++) solution = local(mix(solution));
    const mixed = mix(solution);
    y = local(mixed);
    carried = tf.add(decayed, tf.mul(tf.reshape(tf.mul(dt, mixed), [batch, 1, channels]), b));
    solutions.push(y);
  }
  const gated = tf.mul(silu(tf.add(linear(tf.stack(previous, 1), w.gate), z)), tf.stack(solutions, 1));
  const hidden = tf.add(embedded, linear(gated, w.outProj));
  const last = tf.reshape<Rank.R2>(rms(hidden, w.after), [batch * time, features]);
  return tf.reshape(tf.matMul(last, w.embedding as Tensor2D, false, true), [batch, time, -1]);
}
