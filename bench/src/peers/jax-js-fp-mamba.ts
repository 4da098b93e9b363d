/** FP-Mamba forward in jax-js, and its calls as tasks. */
import { blockUntilReady, jit, nn, numpy as np } from "@jax-js/jax";
import type { Task } from "../framework.ts";
import type { WorkOf } from "../work.ts";
import { type FpMambaGiven, fpMambaGiven, type FpMambaInputs } from "./fp-mamba-inputs.ts";

/** @param reads whether a run ends when an element of each result is on the host */
export function jaxTask(program: () => np.Array[], { reads = false } = {}): Task {
  const ready = async (results: np.Array[]): Promise<np.Array[]> => {
    await blockUntilReady(results);
    return results;
  };
  const call = async (): Promise<void> => {
    for (const result of await ready(program())) result.dispose();
  };
  const read = async (): Promise<void> => {
    const results = program();
    const firsts = results.map((result) => element(result.ref));
    await Promise.all(firsts.map((first) => first.data()));
    for (const result of results) result.dispose();
  };
  return {
    run: reads ? read : call,
    call,
    result: async () => {
      const [first, ...rest] = await ready(program());
      for (const result of rest) result.dispose();
      if (first === undefined) throw new RangeError("there is no result");
      return (await first.data()) as Float32Array;
    },
  };
}

const element = jit((x: np.Array) => np.ravel(x).slice([0, 1]));

type Weights = Record<keyof FpMambaInputs, np.Array>;

export async function jaxFpMamba(work: WorkOf<"fp-mamba">): Promise<Task> {
  const given = await fpMambaGiven(work);
  const { batch, time } = given.sizes;
  const names = Object.keys(given.inputs) as (keyof FpMambaInputs)[];
  const weights = Object.fromEntries(
    names.map((name) => [name, np.array(given.inputs[name].data).reshape([...given.inputs[name].shape])]),
  ) as Weights;
  const ids = np.array(given.ids).reshape([batch, time]);
  await blockUntilReady([weights, ids]);
  const program = forward(given);
  return {
    ...jaxTask(() => program(weights, ids), { reads: true }),
    dispose: () => {
      for (const weight of [...Object.values(weights), ids]) weight.dispose();
    },
  };
}

/**
 * Step by step through time, iterating a given number of times at each, as nothing on the device can decide to stop. The
 * mixer is multiplied out to I - U V^T once a step. Jitted in three pieces, of which the middle one is a step of time:
 * all in one would be compiled for minutes.
 */
function forward({ sizes, gain, iterations }: FpMambaGiven): (w: Weights, ids: np.Array) => np.Array[] {
  const { batch, channels, state, rank, dtRank } = sizes;
  const rms = (x: np.Array, weight: np.Array): np.Array => {
    const scale = np.sqrt(np.mean(np.square(x.ref), -1, { keepdims: true }).add(1e-5));
    return x.div(scale).mul(weight);
  };
  const unit = (x: np.Array): np.Array => {
    const length = np.sqrt(np.sum(np.square(x.ref), -1, { keepdims: true }));
    return x.div(np.maximum(length, 1e-5));
  };
  const before = jit((w: Weights, ids: np.Array): [np.Array, np.Array, np.Array, np.Array, np.Array] => {
    const embedded = np.take(w.embedding, ids, 0);
    const both = np.matmul(rms(embedded.ref, w.before), w.inProj);
    const x = both.ref.slice([], [], [0, channels]);
    const selected = np.matmul(x.ref, w.xProj);
    const dt = nn.softplus(np.matmul(selected.ref.slice([], [], [0, dtRank]), w.dtProj).add(w.dtBias));
    const bc = selected.slice([], [], [dtRank, dtRank + 2 * state]);
    const projection = np.concatenate([np.matmul(x.ref, w.mixer).add(w.mixerBias), bc], -1);
    return [embedded, both.slice([], [], [channels, 2 * channels]), x, dt, projection];
  });
  type Step = Pick<Weights, "hidden" | "a" | "skip" | "normWeight" | "normBias">;
  const step = jit(
    (w: Step, x: np.Array, dt: np.Array, fromX: np.Array, y: np.Array, carried: np.Array): [np.Array, np.Array] => {
      const p = fromX.add(np.matmul(y, w.hidden));
      const values = p.ref.slice([], [0, rank * channels]).reshape([batch, rank, channels]);
      const u = unit(nn.silu(values));
      const from = rank * channels;
      const s = nn
        .sigmoid(p.ref.slice([], [from, from + rank]))
        .mul(gain)
        .reshape([batch, rank, 1]);
      const bc = unit(p.slice([], [from + rank, from + rank + 2 * state]).reshape([batch, 2, state]));
      const [b, c] = [bc.ref.slice([], 0, [], null), bc.slice([], 1, [], null)];
      const part = (of: np.Array, k: number): np.Array => of.ref.slice([], [k, k + 1], []);
      const reflect = (v: np.Array, k: number): np.Array => {
        const along = np.sum(part(u, k).mul(v.ref), -1, { keepdims: true });
        return v.sub(part(u, k).mul(part(s, k).mul(along)));
      };
      const turned = Array.from({ length: rank }, (_, k) => {
        let v = part(u, k);
        for (let j = k - 1; j >= 0; j--) v = reflect(v, j);
        return v.mul(part(s, k));
      });
      const v = np.transpose(np.concatenate(turned, 1), [0, 2, 1]);
      s.dispose();
      const decayed = np.exp(dt.ref.slice([], null, []).mul(w.a)).mul(carried);
      const inherited = np.sum(decayed.ref.mul(c.ref), 1);
      const factor = dt.ref.mul(np.sum(b.ref.mul(c), 1)).add(w.skip);
      const mix = (y: np.Array): np.Array => {
        const d = x.ref.sub(y.ref).slice([], null, []);
        const along = np.matmul(d.ref, v.ref);
        return d.sub(np.matmul(along, u.ref)).slice([], 0, []).add(y);
      };
      const local = (mixed: np.Array): np.Array =>
        nn
          .standardize(factor.ref.mul(mixed).add(inherited.ref), -1, { epsilon: 1e-5 })
          .mul(w.normWeight.ref)
          .add(w.normBias.ref);
      let solution = np.zeros([batch, channels]);
      for (let i = 0; i < iterations; i++) solution = local(mix(solution));
      const mixed = mix(solution);
      const next = local(mixed.ref);
      const after = decayed.add(dt.mul(mixed).slice([], null, []).mul(b));
      for (const used of [x, u, v, factor, inherited, w.normWeight, w.normBias]) used.dispose();
      return [next, after];
    },
  );
  const after = jit((w: Weights, embedded: np.Array, z: np.Array, previous: np.Array, y: np.Array): np.Array[] => {
    const gated = nn.silu(np.matmul(previous, w.gate).add(z)).mul(y);
    const hidden = rms(embedded.add(np.matmul(gated, w.outProj)), w.after);
    return [np.matmul(hidden, np.transpose(w.embedding))];
  });
  return (w, ids) => {
    const all = (): Weights =>
      Object.fromEntries(Object.entries(w).map(([name, x]) => [name, x.ref])) as unknown as Weights;
    const [embedded, z, x, dt, projection] = before(all(), ids.ref);
    const start = np.zeros([batch, channels]);
    let [y, carried] = [start.ref, np.zeros([batch, state, channels])];
    const solutions: np.Array[] = [];
    for (let t = 0; t < sizes.time; t++) {
      const at = (of: np.Array): np.Array => of.ref.slice([], t, []);
      const { hidden, a, skip, normWeight, normBias } = all();
      [y, carried] = step({ hidden, a, skip, normWeight, normBias }, at(x), at(dt), at(projection), y, carried);
      solutions.push(y.ref);
    }
    for (const used of [y, carried, x, dt, projection]) used.dispose();
    const shifted = np.stack([start, ...solutions.slice(0, -1).map((each) => each.ref)], 1);
    return after(all(), embedded, z, shifted, np.stack(solutions, 1));
  };
}
