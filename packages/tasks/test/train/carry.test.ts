import { array, type HostTensor, key, optim, treeLeaves } from "@banach/autograd";
import { fpMamba, householder, languageModel, sequential, throughTime } from "@banach/fprnn";
import { describe, expect, it, test } from "vitest";
import { findBackend } from "../../src/cli/backends.ts";
import { parseGroup } from "../../src/groups/index.ts";
import { decodeCheckpoint, encodeCheckpoint } from "../../src/run/checkpoint.ts";
import { type Task, wordProblem } from "../../src/tasks/index.ts";
import {
  fixed,
  initialState,
  type SequenceModel,
  type StepEvent,
  train,
  type TrainOptions,
  uniform,
} from "../../src/train/index.ts";
import { phaseModel } from "../stand-in.ts";

const group = parseGroup("S3");
const task = wordProblem({ group });
const layer = fpMamba({
  dModel: 8,
  dState: 2,
  mixer: householder({ rank: 2 }),
  solver: sequential({ tol: 0.01 }),
  adjoint: throughTime(),
});
const model: SequenceModel = languageModel({ vocabulary: task.vocabulary, dModel: 8, layers: [layer] });

/** Above any accuracy but 0: an untrained model carries on from the first batch. */
const ALWAYS = { above: 1e-6, tokens: 20 };

async function run(options: Partial<TrainOptions> = {}) {
  await using device = await findBackend("wasm")();
  const events: StepEvent[] = [];
  const result = await train({
    task,
    model,
    optimizer: optim.adamw({ learningRate: 0.01 }),
    device,
    batch: 16,
    steps: 12,
    lengths: fixed(4),
    clip: 1,
    carry: ALWAYS,
    seed: 1,
    onStep: (event) => void events.push(event),
    ...options,
  });
  return { events, result };
}

const numbers = (tree: unknown): readonly (readonly [string, readonly number[]])[] =>
  treeLeaves(tree as HostTensor).map(({ path, leaf }) => [path, Array.from(leaf.data)] as const);

const flags = (values: readonly number[]): HostTensor => array(Uint8Array.from(values), { dtype: "bool" });

describe("words that go on", () => {
  const size = { batch: 3, length: 5 };
  const { resume } = task;

  it("label the product of the whole word, and begin with BOS only where they begin", () => {
    const first = resume!(key(0), size, { memory: array([0, 0, 0], { dtype: "int32" }), restart: flags([1, 1, 1]) });
    expect(first.inputs.data.filter((token) => token >= group.order)).toHaveLength(3);
    const second = resume!(key(1), size, { memory: first.memory, restart: flags([0, 1, 0]) });
    const bos = Array.from(second.inputs.data).map((token, i) => (token >= group.order ? i : -1));
    expect(bos.filter((i) => i >= 0)).toEqual([6]);
    expect(Array.from(second.mask.data)).toEqual(Array.from({ length: 18 }, (_, i) => (i === 6 ? 0 : 1)));
    for (const row of [0, 1, 2]) {
      let product = row === 1 ? 0 : first.memory.data[row]!;
      for (let i = row === 1 ? 7 : 6 * row; i < 6 * row + 6; i++) {
        product = group.compose(product, second.inputs.data[i]!);
        expect(second.targets.data[i]).toBe(product);
      }
      expect(second.memory.data[row]).toBe(product);
    }
  });

  it("are those of sample where all of them begin", () => {
    const { memory: _, ...all } = resume!(key(7), size, {
      memory: array([5, 5, 5], { dtype: "int32" }),
      restart: flags([1, 1, 1]),
    });
    expect(numbers(all)).toEqual(numbers(task.sample(key(7), size)));
  });

  it("are refused another number of rows", () => {
    const position = { memory: array([0], { dtype: "int32" }), restart: flags([1]) };
    expect(() => resume!(key(0), size, position)).toThrow(/memory must be \[3\], one per sequence, got \[1\]/);
  });
});

/** A task that records how its batches went on. */
function watched(): { readonly task: Task; readonly restarts: (readonly number[])[] } {
  const restarts: (readonly number[])[] = [];
  const resume: Task["resume"] = (at, size, from) => {
    restarts.push(Array.from(from.restart.data));
    return task.resume!(at, size, from);
  };
  return { task: { ...task, resume }, restarts };
}

test("sequences go on where their last label was right, and all begin anew after so many tokens", async () => {
  const { task: seen, restarts } = watched();
  const { events } = await run({ task: seen });
  expect(restarts).toHaveLength(12);
  const right = events.map((event) => event.right.map((is) => Number(!is)));
  expect(right.flat().some((wrong) => wrong === 1) && right.flat().some((wrong) => wrong === 0)).toBe(true);
  restarts.forEach((found, i) => {
    // A batch has 5 positions, so that the fourth ends at 20 tokens.
    expect(found).toEqual(i % 4 === 0 ? found.map(() => 1) : right[i - 1]);
  });
  expect(events.map(({ counters }) => counters.carriedTokens).slice(0, 5)).toEqual([5, 10, 15, 0, 5]);
});

test("nothing is carried below the accuracy, and then the numbers are those of training without", async () => {
  const [carried, fresh] = [await run({ carry: { above: 1, tokens: 20 } }), await run({ carry: null })];
  expect(carried.events.every(({ counters }) => counters.carriedTokens === 0)).toBe(true);
  const losses = (events: readonly StepEvent[]): number[] => events.map(({ loss }) => loss);
  losses(carried.events).forEach((loss, i) => {
    expect(loss).toBeCloseTo(losses(fresh.events)[i]!, 5);
  });
});

test("what is carried is the state of the sequences: a piece after another is the whole", async () => {
  await using device = await findBackend("wasm")();
  const params = model.init(key(0));
  const batch = task.sample(key(5), { batch: 4, length: 9 });
  const half = (from: number) => {
    const ids = Array.from({ length: 20 }, (_, i) => batch.inputs.data[Math.floor(i / 5) * 10 + from + (i % 5)]!);
    return array(Int32Array.from(ids), { shape: [4, 5] });
  };
  const apply = (p: unknown, ids: Parameters<SequenceModel["apply"]>[1], state?: unknown) => {
    const { logits, state: after } = model.apply(p, ids, state);
    return { logits, after };
  };
  const first = await device.get(await device.run(apply, params, half(0)));
  const second = await device.get(await device.run(apply, params, half(5), first.after));
  const whole = await device.get(await device.run(apply, params, batch.inputs));
  const features = task.vocabulary;
  for (let row = 0; row < 4; row++) {
    for (let i = 0; i < 5 * features; i++) {
      expect(second.logits.data[row * 5 * features + i]).toBeCloseTo(
        whole.logits.data[(row * 10 + 5) * features + i]!,
        1,
      );
    }
  }
});

test("7 and 5 steps are 12 steps, bit for bit, through a checkpoint", async () => {
  const whole = await run();
  const half = await run({ steps: 7 });
  const like = initialState({
    task,
    model,
    optimizer: optim.adamw({ learningRate: 0.01 }),
    lengths: fixed(4),
    batch: 16,
    carry: ALWAYS,
    seed: 0,
  });
  const state = decodeCheckpoint(encodeCheckpoint(half.result.state), like);
  const rest = await run({ state, seed: 999 });
  expect(rest.result.state.counters).toEqual(whole.result.state.counters);
  expect(numbers(rest.result.state.params)).toEqual(numbers(whole.result.state.params));
  expect(numbers(rest.result.state.carried)).toEqual(numbers(whole.result.state.carried));
});

test("a skipped update ends all sequences, and what was not finite in them", async () => {
  const poisoned: SequenceModel = {
    ...model,
    apply: (params, ids, state) => {
      const output = model.apply(params, ids, state);
      const last = ids.sliceAxis(1, 4, 5).equal(0).any();
      return { ...output, logits: output.logits.div(last.not().astype("float32")) };
    },
  };
  const { events } = await run({ model: poisoned, batch: 2, steps: 30 });
  const skipped = events.filter((event) => event.skipped);
  expect(skipped.length).toBeGreaterThan(0);
  expect(skipped.length).toBeLessThan(30);
  for (const { counters } of skipped) expect(counters.carriedTokens).toBe(0);
});

test("lengths that grow carry nothing until they are full", async () => {
  const { events } = await run({ lengths: uniform(2, 4) });
  expect(events.some(({ counters }) => counters.carriedTokens > 0)).toBe(true);
});

test("live buffers do not grow", async () => {
  await using device = await findBackend("wasm")();
  const live = new Set<number>();
  await run({ device, onStep: () => void live.add(device.memory().liveBuffers) });
  expect(live.size).toBe(1);
  expect(device.memory().liveBuffers).toBe(0);
});

test.each<[string, Partial<TrainOptions>, RegExp]>([
  ["a model without a state", { model: phaseModel(task.vocabulary) }, /the model has no state to carry/],
  ["a task whose sequences end", { task: { ...task, resume: undefined } as never }, /word-problem S3 have an end/],
  ["an accuracy", { carry: { above: 0, tokens: 8 } }, /above an accuracy in \(0, 1\]/],
  ["a number of tokens", { carry: { above: 0.5, tokens: 0 } }, /positive number of tokens, got 0.5 and 0/],
])("%s is refused", async (_, options, message) => {
  await expect(run(options)).rejects.toThrow(message);
});
