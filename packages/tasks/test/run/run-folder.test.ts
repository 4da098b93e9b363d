import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CheckpointError, type HostTensor, key, optim, treeLeaves } from "@banach/autograd";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parityPlan } from "../../src/cli/parity-story.ts";
import { buildRun } from "../../src/models/build.ts";
import { parseConfig, type RunConfig } from "../../src/run/config.ts";
import { createRun, decodeCheckpoint, encodeCheckpoint, openRun } from "../../src/run/index.ts";
import { parseGroup } from "../../src/groups/index.ts";
import { wordProblem } from "../../src/tasks/index.ts";
import { linesUpTo } from "../../src/run/metrics.ts";
import { initialState, type TrainState, uniform } from "../../src/train/index.ts";
import { phaseModel } from "../stand-in.ts";

const config = {
  ...parityPlan(1),
  model: {
    kind: "fp-rnn",
    dModel: 16,
    expand: 2,
    layers: 1,
    mixer: { kind: "householder", rank: 2, gain: 1 },
    solver: { kind: "sequential", tol: 0.03, maxSteps: 40 },
    adjoint: { kind: "through-time" },
  },
  backend: "reference",
  relaxed: false,
} as const satisfies RunConfig;
const withPart = (part: object): unknown => ({ ...config, model: { ...config.model, ...part } });
const withSolver = (solver: unknown): unknown => withPart({ solver });
const withMixer = (mixer: unknown): unknown => withPart({ mixer });
const withAdjoint = (adjoint: unknown): unknown => withPart({ adjoint });

function stateOf(seed = 0, features = 4, optimizer: optim.Optimizer = optim.adamw({ learningRate: 0.1 })): TrainState {
  const task = wordProblem({ group: parseGroup("Z2") });
  return initialState({ model: phaseModel(8, features), optimizer, lengths: uniform(1, 4), task, batch: 4, seed });
}

const numbers = (tree: unknown): unknown =>
  treeLeaves(tree as HostTensor).map(({ path, leaf }) => [path, leaf.type, Array.from(leaf.data)]);

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "banach-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe("checkpoints", () => {
  test("a state comes back with the same bits", () => {
    const state = {
      ...stateOf(1),
      counters: { ...stateOf().counters, step: 7, lengths: { limit: 3, accuracy: 0.1 + 0.2 } },
    };
    const back = decodeCheckpoint(encodeCheckpoint(state), stateOf(2));
    expect(back.counters).toEqual(state.counters);
    expect(numbers([back.params, back.optimizer, back.key])).toEqual(
      numbers([state.params, state.optimizer, state.key]),
    );
  });

  test("a state from before carried tokens and diverged sequences were counted has none", () => {
    const { carriedTokens: _, diverged: __, divergedInRow: ___, ...counters } = stateOf().counters;
    // As it was written then.
    const bytes = encodeCheckpoint({ ...stateOf(), counters: counters as TrainState["counters"] });
    expect(decodeCheckpoint(bytes, stateOf()).counters).toEqual(stateOf().counters);
  });

  test("what does not fit the model is refused by name", () => {
    const bytes = encodeCheckpoint(stateOf());
    expect(() => decodeCheckpoint(bytes, stateOf(0, 5))).toThrow(
      "'optimizer.slots.mean.head.weight' is float32[8,8], the model has float32[8,10]",
    );
    expect(() => decodeCheckpoint(bytes, stateOf(0, 4, optim.sgd({ learningRate: 1 })))).toThrow("is not in the model");
    const plain = encodeCheckpoint(stateOf(0, 4, optim.sgd({ learningRate: 1 })));
    expect(() => decodeCheckpoint(plain, stateOf())).toThrow("of the model is missing");
  });

  test("a file that is cut at any byte is refused", () => {
    const bytes = encodeCheckpoint(stateOf(0, 1));
    for (let length = 0; length < bytes.length; length += 7) {
      expect(() => decodeCheckpoint(bytes.subarray(0, length), stateOf(0, 1))).toThrow(CheckpointError);
    }
  });
});

describe("run folders", () => {
  const path = (): string => join(folder, "run");

  test("a run is made, opened and read again", async () => {
    const run = await createRun(path(), config, stateOf(3));
    await run.append({ type: "resume", step: 0, steps: 5, backend: "wasm" });
    expect((await readdir(path())).sort()).toEqual(["checkpoint.safetensors", "config.json", "metrics.jsonl"]);
    const opened = await openRun(path());
    expect(opened.config).toEqual(config);
    expect(numbers((await opened.load(stateOf())).params)).toEqual(numbers(stateOf(3).params));
    expect(await readFile(join(path(), "metrics.jsonl"), "utf8")).toBe(
      '{"type":"resume","step":0,"steps":5,"backend":"wasm"}\n',
    );
  });

  test("saving replaces the checkpoint and leaves nothing else, even next to a half-written one", async () => {
    const run = await createRun(path(), config, stateOf(3));
    await writeFile(join(path(), "checkpoint.safetensors.1.tmp"), "half");
    await run.save(stateOf(4));
    expect(numbers((await run.load(stateOf())).params)).toEqual(numbers(stateOf(4).params));
    expect((await readdir(path())).filter((name) => name.endsWith(".tmp"))).toEqual(["checkpoint.safetensors.1.tmp"]);
  });

  test.each([
    ["", ""],
    ['{"type":"step","st', ""],
    ['{"type":"step","step":1}\n{"type":"step","st', '{"type":"step","step":1}\n'],
    ['{"type":"step","step":1}\n', '{"type":"step","step":1}\n'],
  ])("what is appended to the metrics %j of a killed process is a line of its own", async (before, kept) => {
    await createRun(path(), config, stateOf());
    const metrics = join(path(), "metrics.jsonl");
    await writeFile(metrics, before);
    const run = await openRun(path());
    const line = '{"type":"resume","step":1,"steps":5,"backend":"wasm"}\n';
    for (let i = 0; i < 2; i++) await run.append({ type: "resume", step: 1, steps: 5, backend: "wasm" });
    expect(await readFile(metrics, "utf8")).toBe(kept + line + line);
    await rm(metrics);
    await (await openRun(path())).append({ type: "resume", step: 1, steps: 5, backend: "wasm" });
    expect(await readFile(metrics, "utf8")).toBe(line);
  });

  test("a folder with anything in it is not overwritten, an empty one is used", async () => {
    await mkdir(path());
    await createRun(path(), config, stateOf());
    await expect(createRun(path(), config, stateOf())).rejects.toThrow("exists and is not empty");
    await writeFile(join(folder, "file"), "");
    await expect(createRun(join(folder, "file"), config, stateOf())).rejects.toThrow("is a file");
  });

  test("what is no run, or half of one, is refused with the reason", async () => {
    await expect(openRun(path())).rejects.toThrow("it does not exist");
    await mkdir(path());
    await expect(openRun(path())).rejects.toThrow("it has no config.json");
    await writeFile(join(path(), "config.json"), JSON.stringify(config));
    await expect(openRun(path())).rejects.toThrow("its making was cut short");
    await writeFile(join(path(), "checkpoint.safetensors"), "");
    await expect((await openRun(path())).load(stateOf())).rejects.toThrow(CheckpointError);
    await expect((await openRun(path())).load(stateOf())).rejects.toThrow(`${path()}: safetensors: file-too-short`);
  });
});

test.each([
  ["{", "not JSON"],
  ["[]", "Invalid input"],
  ['{"version":2}', "version 2, this program reads version 1"],
  [JSON.stringify({ ...config, batch: 0 }), "batch: "],
  [JSON.stringify({ ...config, more: 1 }), 'Unrecognized key: "more"'],
  [JSON.stringify({ ...config, model: { ...config.model, mixer: { kind: "x" } } }), "model.mixer.kind"],
  [JSON.stringify({ ...config, model: { ...config.model, dState: 4 } }), 'Unrecognized key: "dState"'],
  [JSON.stringify({ ...config, model: { ...config.model, kind: "fp-mamba" } }), "model.dState"],
  [JSON.stringify({ ...config, model: { ...config.model, kind: "fp-mamba", dState: 0 } }), "model.dState"],
  [JSON.stringify({ ...config, model: { ...config.model, kind: "mamba", dState: 4 } }), '"mixer", "solver", "adjoint"'],
  [JSON.stringify({ ...config, model: { kind: "mamba", dModel: 4, expand: 2, layers: 1 } }), "model.dState"],
  [JSON.stringify({ ...config, model: { ...config.model, kind: "rwkv" } }), "model.kind"],
  [JSON.stringify(withSolver({ kind: "magic", tol: 0.1, maxSteps: 4 })), "model.solver.kind"],
  [JSON.stringify(withSolver({ kind: "chunked", tol: 0.1, maxSteps: 4 })), "model.solver.chunk"],
  [JSON.stringify(withSolver({ kind: "picard", chunk: 4, tol: 0.1, maxSteps: 4 })), 'Unrecognized key: "chunk"'],
  [JSON.stringify(withMixer({ kind: "dense", gain: 1, rank: 2 })), 'Unrecognized key: "rank"'],
  [JSON.stringify(withMixer({ kind: "dense", gain: 3 })), "model.mixer.gain"],
  [JSON.stringify(withMixer({ kind: "mixture", experts: [] })), "model.mixer.experts"],
  [JSON.stringify(withMixer({ kind: "mixture", experts: [{ kind: "mixture" }] })), "model.mixer.experts.0.kind"],
  [JSON.stringify({ ...config, depth: { shape: 4, scale: 0 } }), "depth.scale"],
  [JSON.stringify(withAdjoint({ kind: "exact" })), "model.adjoint.kind"],
  [JSON.stringify(withAdjoint({ kind: "unrolled" })), "model.adjoint.steps"],
  [JSON.stringify(withAdjoint({ kind: "implicit", steps: 1 })), 'Unrecognized key: "steps"'],
  ['{"version":1,"version":1}', "duplicate key 'version'"],
])("the config %s is refused", (text, reason) => {
  expect(() => parseConfig(text)).toThrow(CheckpointError);
  expect(() => parseConfig(text)).toThrow(reason);
});

test.each([{ kind: "fp-rnn" }, { kind: "fp-mamba", dState: 4 }] as const)(
  "a configuration of %j that was written is read as it was, and can be built",
  (layer) => {
    const { kind: _, ...shape } = config.model;
    const chosen: RunConfig = { ...config, model: { ...shape, ...layer } };
    expect(parseConfig(JSON.stringify(chosen))).toEqual(chosen);
    expect(buildRun(chosen).task.vocabulary).toBe(16);
  },
);

test.each([
  { kind: "sequential" },
  { kind: "picard" },
  { kind: "anderson" },
  { kind: "newton" },
  { kind: "chunked", chunk: 4 },
  { kind: "auto" },
] as const)("a configuration with solver %j is read as it was written", (solver) => {
  const chosen: RunConfig = {
    ...config,
    model: { ...config.model, solver: { ...solver, tol: 0.1, maxSteps: 7 }, adjoint: { kind: "truncated", steps: 1 } },
  };
  expect(parseConfig(JSON.stringify(chosen))).toEqual(chosen);
  expect(buildRun(chosen).task.vocabulary).toBe(16);
});

test.each([
  { kind: "householder", rank: 2, gain: 1, projectionRank: 3 },
  { kind: "dplr", rank: 2, gain: 2 },
  { kind: "kronecker", normalisation: "spectral", factors: [4, 8], gain: 1 },
  { kind: "monarch", gain: 1 },
  { kind: "dense", gain: 1 },
  { kind: "orthogonal", gain: 1 },
  { kind: "mixture", experts: [{ kind: "dense", gain: 1 }] },
] as const)("a configuration with mixer %j is read as it was written", (mixer) => {
  const chosen: RunConfig = { ...config, model: { ...config.model, mixer } };
  expect(parseConfig(JSON.stringify(chosen))).toEqual(chosen);
  expect(buildRun(chosen).task.vocabulary).toBe(16);
});

test.each([
  { kind: "through-time-implicit" },
  { kind: "truncated", steps: 2 },
  { kind: "neumann", steps: 2 },
  { kind: "implicit" },
  { kind: "unrolled", steps: 2 },
] as const)("a configuration with adjoint %j is read as it was written", (adjoint) => {
  const chosen: RunConfig = { ...config, model: { ...config.model, adjoint } };
  expect(parseConfig(JSON.stringify(chosen))).toEqual(chosen);
  expect(buildRun(chosen).task.vocabulary).toBe(16);
});

test("a configuration that does not say how many steps are differentiated means one", () => {
  const read = parseConfig(JSON.stringify(withAdjoint({ kind: "truncated" })));
  expect(read).toEqual(withAdjoint({ kind: "truncated", steps: 1 }));
});

test("a configuration of Mamba has sizes alone", () => {
  const model = { kind: "mamba", dState: 4, dModel: 8, expand: 2, layers: 2 } as const;
  const chosen: RunConfig = { ...config, model };
  expect(parseConfig(JSON.stringify(chosen))).toEqual(chosen);
  expect(Object.keys(buildRun(chosen).model.init(key(0)) as object)).toContain("blocks");
});

test("metrics are rewound to a step, without a line that was cut short", () => {
  const text = '{"type":"step","step":1}\n{"type":"step","step":2}\n{"type":"step","step":3}\n{"type":"st';
  expect(linesUpTo(text, 2)).toBe('{"type":"step","step":1}\n{"type":"step","step":2}\n');
});
