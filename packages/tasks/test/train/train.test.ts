import {
  array,
  astype,
  equal,
  type HostTensor,
  mul,
  optim,
  treeLeaves,
  treeMap,
  where,
  zerosLike,
} from "@banach/autograd";
import {
  fpRnn,
  householder,
  implicit,
  languageModel,
  picard,
  randomDepth,
  type SolveStatus,
  STATUSES,
} from "@banach/fprnn";
import { backendNames, findBackend } from "../../src/cli/backends.ts";
import { describe, expect, test } from "vitest";
import { buildModel } from "../../src/models/build.ts";
import type { FixedPointLayer } from "../../src/run/config.ts";
import { parseGroup } from "../../src/groups/index.ts";
import { wordProblem } from "../../src/tasks/index.ts";
import {
  curriculum,
  fixed,
  type SequenceModel,
  type StepEvent,
  train,
  type TrainOptions,
  uniform,
} from "../../src/train/index.ts";
import { phaseModel } from "../stand-in.ts";

const task = wordProblem({ group: parseGroup("Z2") });

async function run(
  options: Partial<TrainOptions> = {},
): Promise<{ events: StepEvent[]; result: Awaited<ReturnType<typeof train>> }> {
  await using device = await findBackend("reference")();
  const events: StepEvent[] = [];
  const result = await train({
    task,
    model: phaseModel(task.vocabulary),
    optimizer: optim.adamw({ learningRate: 0.03 }),
    device,
    batch: 8,
    steps: 6,
    lengths: uniform(1, 4),
    clip: 1,
    seed: 3,
    onStep: (event) => void events.push(event),
    ...options,
  });
  return { events, result };
}

const numbers = (tree: unknown): readonly (readonly [string, readonly number[]])[] =>
  treeLeaves(tree as HostTensor).map(({ path, leaf }) => [path, Array.from(leaf.data)] as const);

test("the same seed gives the same numbers, another seed others", async () => {
  const [a, b, c] = [await run(), await run(), await run({ seed: 4 })];
  expect(numbers(a.result.state.params)).toEqual(numbers(b.result.state.params));
  expect(numbers(a.result.state.params)).not.toEqual(numbers(c.result.state.params));
});

test("10 and 10 steps are 20 steps, bit for bit", async () => {
  const whole = await run({ steps: 20 });
  const half = await run({ steps: 10 });
  const rest = await run({ steps: 20, state: half.result.state, seed: 999 });
  expect(rest.result.state.counters).toEqual(whole.result.state.counters);
  expect(numbers(rest.result.state.params)).toEqual(numbers(whole.result.state.params));
  expect(numbers(rest.result.state.optimizer)).toEqual(numbers(whole.result.state.optimizer));
});

test.each(backendNames)("training on %s keeps the same live buffers and bytes, and leaves none", async (backend) => {
  await using device = await findBackend(backend)();
  const live = new Set<string>();
  await run({
    device,
    steps: 8,
    onStep: () => {
      const { liveBuffers, liveBytes } = device.memory();
      live.add(`${liveBuffers} buffers, ${liveBytes} bytes`);
    },
  });
  expect(live.size).toBe(1);
  expect(device.memory()).toMatchObject({ liveBuffers: 0, liveBytes: 0 });
});

test("one program per length", async () => {
  await using device = await findBackend("reference")();
  const { events } = await run({ device, steps: 12, lengths: uniform(2, 4) });
  expect(device.compiledPrograms).toBe(new Set(events.map(({ length }) => length)).size);
});

test("it learns, and stops at the target", async () => {
  const { result } = await run({
    batch: 32,
    steps: 400,
    lengths: fixed(4),
    target: { accuracy: 0.99, batches: 3 },
  });
  expect(result.reason).toBe("target");
  expect(result.state.counters.fullLength).toHaveLength(3);
});

test("a run that goes on with fewer batches looks at so many, not at all that were kept", async () => {
  const { state } = (await run({ steps: 0 })).result;
  const counters = { ...state.counters, fullLength: [0.1, 0.1, 1] };
  const on = async (batches: number): Promise<string> =>
    (await run({ steps: 0, state: { ...state, counters }, target: { accuracy: 0.9, batches } })).result.reason;
  expect(await on(1)).toBe("target");
  expect(await on(2)).toBe("steps");
});

/** NaN in the loss of every batch, gradient included. */
function poisoned(model: SequenceModel): SequenceModel {
  return {
    init: model.init,
    apply: (params, ids) => {
      const { logits, stats } = model.apply(params, ids);
      return { logits: mul(logits, array(Number.NaN)), stats };
    },
  };
}

test("an update that is not finite is skipped and counted, and many in a row end training", async () => {
  const clean = await run({ steps: 0 });
  const { result, events } = await run({
    model: poisoned(phaseModel(task.vocabulary)),
    steps: 100,
    maxSkippedInRow: 5,
  });
  expect(result.reason).toBe("nonFinite");
  expect(events.map(({ skipped }) => skipped)).toEqual([true, true, true, true, true]);
  expect(result.state.counters).toMatchObject({ step: 5, skipped: 5, skippedInRow: 5 });
  expect(result.state.counters.lengths).toEqual(clean.result.state.counters.lengths);
  expect(numbers(result.state.params)).toEqual(numbers(clean.result.state.params));
  expect(numbers(result.state.optimizer)).toEqual(numbers(clean.result.state.optimizer));
});

describe("sequences that diverge", () => {
  /** Reports a status for the sequences that end with an element of Z2, and "converged" for the others. */
  const reporting = (status: SolveStatus, element: number): SequenceModel => {
    const model = phaseModel(task.vocabulary);
    return {
      init: model.init,
      apply: (params, ids) => {
        const rows = ids.index(1, -1);
        const code = where(equal(rows, element), STATUSES.indexOf(status), 0);
        const stats = { status: code, iterations: zerosLike(rows), residual: astype(zerosLike(rows), "float32") };
        return { ...model.apply(params, ids), stats: [stats] };
      },
    };
  };
  const both = { batch: 1, steps: 30, lengths: fixed(2) };

  test.each(["diverged", "nonFinite"] as const)(
    "an update with one that is %s is skipped, though finite",
    async (status) => {
      const { result, events } = await run({ ...both, model: reporting(status, 1) });
      const applied = events.filter(({ skipped }) => !skipped);
      expect(events.every(({ loss, gradientNorm }) => Number.isFinite(loss) && Number.isFinite(gradientNorm))).toBe(
        true,
      );
      expect(events.map(({ diverged }) => diverged)).toEqual(events.map(({ skipped }) => Number(skipped)));
      expect(applied.length).toBeGreaterThan(5);
      expect(applied.length).toBeLessThan(25);
      const count = both.steps - applied.length;
      expect(result.reason).toBe("steps");
      expect(result.state.counters).toMatchObject({ skipped: count, diverged: count, notConverged: count });

      const all = await run({ ...both, batch: 64, model: reporting(status, 1), maxSkippedInRow: 4 });
      expect(all.result.reason).toBe("diverged");
      expect(all.result.state.counters).toMatchObject({ step: 4, skippedInRow: 4, divergedInRow: 4 });
      expect(all.events[0]!.diverged).toBeGreaterThan(10);
      expect(all.events[0]!.diverged).toBeLessThan(54);
      const clean = await run({ ...both, steps: 0 });
      expect(numbers(all.result.state.params)).toEqual(numbers(clean.result.state.params));
      expect(numbers(all.result.state.optimizer)).toEqual(numbers(clean.result.state.optimizer));
    },
  );

  test.each([
    ["one length", fixed(2)],
    ["a curriculum", curriculum({ from: 1, to: 2, threshold: 0.1 })],
  ])("do not count towards the target nor the running accuracy: %s", async (_, lengths) => {
    const options = { ...both, lengths, model: reporting("diverged", 1), target: { accuracy: 1, batches: 99 } };
    const { events } = await run(options);
    expect(events.some(({ skipped }) => skipped)).toBe(true);
    let state = lengths.start;
    const full: number[] = [];
    for (const { skipped, tokenAccuracy, length, counters } of events) {
      if (!skipped) {
        state = lengths.observe(state, tokenAccuracy);
        if (length === lengths.full) full.push(tokenAccuracy);
      }
      expect(counters).toMatchObject({ lengths: state, fullLength: full });
    }
    expect(full.length).toBeGreaterThan(0);
  });

  test("one that only did not get there in time is trained on", async () => {
    const { result, events } = await run({ ...both, model: reporting("maxSteps", 1) });
    expect(events.some(({ notConverged }) => notConverged > 0)).toBe(true);
    expect(result.state.counters).toMatchObject({ skipped: 0, diverged: 0 });
  });

  test("are those of a layer whose local map expands, and no others", async () => {
    const layer = (gain: 1 | 2): SequenceModel =>
      buildModel(
        {
          kind: "fp-rnn",
          dModel: 4,
          expand: 1,
          layers: 1,
          mixer: { kind: "householder", rank: 4, gain },
          solver: { kind: "sequential", tol: 0.03, maxSteps: 40 },
          adjoint: { kind: "through-time" },
        },
        task.vocabulary,
      );
    const diverged = async (gain: 1 | 2): Promise<readonly number[]> => {
      const model = layer(gain);
      const { state } = (await run({ model, steps: 0 })).result;
      // The slope of the local map is gain (1 - lambda) alpha along one direction: here about 0.96 gain.
      const params = treeMap(
        (leaf: HostTensor, path) =>
          path.endsWith("lambda_proj.bias")
            ? array(new Float32Array(4).fill(-4))
            : path.endsWith("alpha_proj.bias")
              ? array(new Float32Array(4).fill(4))
              : leaf,
        state.params as HostTensor,
      );
      return (await run({ model, steps: 2, state: { ...state, params } })).events.map((event) => event.diverged);
    };
    expect(await diverged(1)).toEqual([0, 0]);
    expect(await diverged(2)).toEqual([8, 8]);
  });
});

describe("backward solves that fail", () => {
  /** One layer, whose backward solve makes so many steps. */
  const solved = (maxSteps: number, unsolved: "nan" | "step"): SequenceModel => {
    const adjoint = implicit({ maxSteps, unsolved });
    const mixer = householder({ rank: 1 });
    const layer = fpRnn({ dModel: 4, expand: 1, mixer, solver: picard({ tol: 1e-3, maxSteps: 100 }), adjoint });
    return languageModel({ vocabulary: task.vocabulary, dModel: 4, layers: [layer] });
  };

  test("are counted, and end training by their own name where they leave no gradient", async () => {
    const { result, events } = await run({ model: solved(1, "nan"), steps: 100, maxSkippedInRow: 3 });
    expect(result.reason).toBe("adjointFailed");
    expect(events.map(({ adjointFailed, skipped }) => [adjointFailed, skipped])).toEqual(Array(3).fill([8, true]));
    expect(events.every(({ loss, notConverged }) => Number.isFinite(loss) && notConverged === 0)).toBe(true);
    expect(result.state.counters).toMatchObject({ skipped: 3, adjointFailed: 24, adjointFailedInRow: 3 });
  });

  test("are counted too where another gradient takes the place of theirs", async () => {
    const { result } = await run({ model: solved(1, "step"), steps: 3 });
    expect(result.state.counters).toMatchObject({ skipped: 0, adjointFailed: 24, adjointFailedInRow: 0 });
  });

  test("are none where the solve is long enough, nor where nothing is solved", async () => {
    for (const model of [solved(100, "nan"), phaseModel(task.vocabulary)]) {
      const { result } = await run({ model, steps: 3 });
      expect(result.state.counters).toMatchObject({ skipped: 0, adjointFailed: 0 });
    }
  });

  test("are not blamed for a loss that is not finite", async () => {
    const { result } = await run({ model: poisoned(solved(1, "nan")), steps: 100, maxSkippedInRow: 3 });
    expect(result.reason).toBe("nonFinite");
  });
});

test("abort ends after the step at hand, the time limit too", async () => {
  const controller = new AbortController();
  const aborted = await run({
    signal: controller.signal,
    steps: 100,
    onStep: ({ counters }) => {
      if (counters.step === 2) controller.abort();
    },
  });
  expect(aborted.result.reason).toBe("interrupted");
  expect(aborted.result.state.counters.step).toBe(2);
  const timed = await run({ steps: 100, timeLimit: 1e-9 });
  expect(timed.result.reason).toBe("time");
});

describe("random depth", () => {
  /** Tolerance 0: solvers make all the iterations that they may make. */
  const modelOf = (layer: FixedPointLayer): SequenceModel =>
    buildModel(
      {
        ...layer,
        dModel: 4,
        expand: 1,
        layers: 1,
        mixer: { kind: "householder", rank: 1, gain: 1 },
        solver: { kind: "sequential", tol: 0, maxSteps: 6 },
        adjoint: { kind: "through-time" },
      },
      task.vocabulary,
    );
  const model = modelOf({ kind: "fp-rnn" });
  const deep = { model, depth: randomDepth(), lengths: fixed(3), steps: 10 };

  test("limits each batch by a number of its own, in one program", async () => {
    await using device = await findBackend("reference")();
    const { events } = await run({ ...deep, device });
    const drawn = events.map(({ depth }) => depth!);
    expect(new Set(drawn).size).toBeGreaterThan(2);
    expect(events.map(({ maxIterations }) => maxIterations)).toEqual(drawn.map((depth) => Math.min(depth, 6)));
    expect(device.compiledPrograms).toBe(1);
  });

  test.each([
    { kind: "fp-rnn" },
    { kind: "fp-mamba", dState: 2 },
    { kind: "fp-mamba-2", dState: 2, headDim: 2 },
  ] as const)("limits the layers of $kind", async (layer) => {
    const { events } = await run({ ...deep, model: modelOf(layer), steps: 2, depth: { draw: () => 3 } });
    expect(events.map(({ maxIterations }) => maxIterations)).toEqual([3, 3]);
  });

  test("is drawn by the seed and the step, wherever a run is taken up again", async () => {
    const [whole, half] = [await run(deep), await run({ ...deep, steps: 4 })];
    const rest = await run({ ...deep, state: half.result.state });
    const depths = ({ events }: typeof whole): unknown => events.map(({ depth }) => depth);
    expect(depths(rest)).toEqual(whole.events.slice(4).map(({ depth }) => depth));
    expect(numbers(rest.result.state.params)).toEqual(numbers(whole.result.state.params));
    expect(depths(await run({ ...deep, seed: 4 }))).not.toEqual(depths(whole));
  });

  test("leaves data as it is, and is not there unless asked for", async () => {
    const { events } = await run({ ...deep, depth: null });
    expect(events.map(({ depth, maxIterations }) => [depth, maxIterations])).toEqual(events.map(() => [null, 6]));
    // The first batch is the same, and so is its loss where as many iterations are made.
    const first = await run({ ...deep, steps: 1, depth: { draw: () => 6 } });
    expect(first.events[0]!.loss).toBe(events[0]!.loss);
  });

  test("needs a solver", async () => {
    await expect(run({ depth: randomDepth() })).rejects.toThrow("the model has no solver whose depth could be random");
  });
});

test("options outside their domains are refused", async () => {
  await expect(run({ batch: 0 })).rejects.toThrow("batch must be a positive integer, got 0");
  await expect(run({ steps: -1 })).rejects.toThrow("steps must be a non-negative integer");
  await expect(run({ target: { accuracy: 2 } })).rejects.toThrow("target is an accuracy in (0, 1]");
  await expect(run({ timeLimit: -1 })).rejects.toThrow("timeLimit must be positive");
});
