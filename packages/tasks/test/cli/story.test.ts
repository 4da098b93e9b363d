import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { storyFor } from "../../src/cli/start-command.ts";
import { a5Story } from "../../src/cli/a5-story.ts";
import { parityStory } from "../../src/cli/parity-story.ts";
import { buildModel, buildRun, buildTask } from "../../src/models/build.ts";
import { findBackend } from "../../src/cli/backends.ts";
import type { Reporter } from "../../src/cli/reporter.ts";
import { accuracyAt, evaluationTable, fullLengthOf } from "../../src/cli/session.ts";
import { finishStory, missedBy, missedByBaseline, type Story } from "../../src/cli/story.ts";
import { secondVariants, trainedVariants, trainingVariants } from "../../src/cli/variants.ts";
import {
  type FixedPointModel,
  formatConfig,
  isFixedPoint,
  parseConfig,
  type RunConfig,
  type RunPlan,
} from "../../src/run/config.ts";
import { createRun } from "../../src/run/index.ts";
import { type EvaluationRow, initialState } from "../../src/train/index.ts";

test.each([
  ["parity", parityStory],
  ["a5", a5Story],
])("the story %s is a valid run, shown at the trained length and beyond", (_, story) => {
  const config = parseConfig(formatConfig({ ...story.plan(0), backend: "wasm", relaxed: false }));
  expect(buildModel(config.model, buildTask(config).vocabulary)).toBeDefined();
  expect(story.lengths[0]).toBe(fullLengthOf(config));
  expect(Math.max(...story.lengths)).toBeGreaterThanOrEqual(4 * fullLengthOf(config));
  for (const { length } of story.baseline?.fails ?? []) expect(story.lengths).toContain(length);
  for (const { length } of story.wanted) {
    expect(story.lengths).toContain(length);
    expect(story.second?.lengths ?? story.lengths).toContain(length);
  }
});

test.each([
  ["wasm", false, a5Story],
  ["wasm", true, parityStory],
  ["reference", false, parityStory],
])("start on %s, quick %s", (backend, quick, story) => {
  expect(storyFor(backend, quick)).toBe(story);
});

describe("what is wanted of a story", () => {
  const row = (length: number, tokenAccuracy: number, converged = 1): EvaluationRow => ({
    variant: "",
    solver: null,
    label: "",
    length,
    sequences: 256,
    tokenAccuracy,
    sequenceAccuracy: tokenAccuracy,
    iterations: 7,
    converged,
  });
  const story = { wanted: [{ length: 16, accuracy: 0.99 }] };

  test("has to come out of every way of solving, not of the first alone", () => {
    const rows = [row(16, 1), row(16, 0.5), row(80, 0.1)];
    expect(accuracyAt(rows, 16)).toBe(0.5);
    expect(missedBy(story, rows)).toEqual(["only 50.0 % right at length 16, 99.0 % wanted"]);
    expect(missedBy(story, [row(16, 1), row(16, 0.99)])).toEqual([]);
  });

  test("is not asked of a second way that does not converge, but always of that of training", () => {
    expect(accuracyAt([row(16, 1), row(16, 0.98, 0.99), row(16, 0.1, 0.98)], 16)).toBe(0.98);
    expect(accuracyAt([row(16, 0.1, 0), row(16, 1)], 16)).toBe(0.1);
  });

  test("is that the baseline fails", () => {
    const baseline = { name: "a diagonal layer", fails: [{ length: 256, below: 0.9 }] };
    expect(missedByBaseline(baseline, [row(16, 1), row(256, 0.89)])).toEqual([]);
    expect(missedByBaseline(baseline, [row(16, 1), row(256, 0.9)])).toEqual([
      "a diagonal layer has 90.0 % right at length 256, below 90.0 % expected",
    ]);
    expect(missedByBaseline(baseline, [row(16, 0.1)])).toHaveLength(1);
  });

  test("has not come out where nothing was evaluated", () => {
    expect(accuracyAt([row(80, 1)], 16)).toBeNaN();
    expect(missedBy(story, [row(80, 1)])).toHaveLength(1);
  });
});

test("what is said of the baseline begins with its name, and a table says nothing of a solver that is none", async () => {
  const folder = await mkdtemp(join(tmpdir(), "banach-"));
  const said: string[] = [];
  const results: string[] = [];
  const silent = { update: () => undefined, around: () => undefined, stop: () => undefined };
  const report: Reporter = {
    json: false,
    result: (text) => results.push(text),
    event: () => undefined,
    note: (text) => said.push(text),
    warn: (text) => said.push(`warning: ${text}`),
    progress: (_, work) => work(silent),
  };
  try {
    await using device = await findBackend("wasm")();
    const small = (plan: RunPlan): RunPlan => ({ ...plan, batch: 4, lengths: { kind: "fixed", length: 3 } });
    const plan = { ...small(parityPlanOf({ tol: 1e-6, maxSteps: 1 })), steps: 1 };
    const config = { ...plan, backend: "wasm", relaxed: false };
    const parts = buildRun(config);
    const state = initialState({ ...parts, seed: 0 });
    const run = await createRun(join(folder, "run"), config, state);
    const { signal } = new AbortController();
    const options = {
      run,
      parts,
      state: { ...state, counters: { ...state.counters, step: 1 } },
      device,
      report,
      signal,
    };
    const story: Story = {
      plan: () => plan,
      lengths: [3],
      second: { lengths: [3], batch: 4, batches: 1 },
      wanted: [],
      // A baseline that warns.
      baseline: { name: "another", plan: (from) => ({ ...from, seed: 1 }), fails: [{ length: 3, below: 0 }] },
      meaning: "",
    };
    expect(await finishStory(story, options)).toBe(1);
    expect(said.slice(0, -1).every((text) => /^(warning: )?another: /.test(text))).toBe(true);
    expect(said).toContain("warning: another: step 1: the solver left 4 sequences above its tolerance (4 so far)");
    expect(said.at(-1)).toMatch(/^warning: another has .* right at length 3, below 0\.0 % expected$/);
    const mamba: EvaluationRow = {
      variant: "no solver",
      solver: null,
      label: "no solver",
      length: 3,
      sequences: 4,
      tokenAccuracy: 0.5,
      sequenceAccuracy: 0,
      iterations: 0,
      converged: 1,
    };
    expect(evaluationTable([mamba])[1]).toMatch(/^ +3 +none +- +50\.0 % +0\.0 % +- +-$/);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

/** The plan of the parity story, its solver with other limits. */
function parityPlanOf(limits: { readonly tol: number; readonly maxSteps: number }): RunPlan {
  const plan = parityStory.plan(0);
  if (!isFixedPoint(plan.model)) throw new Error("parity is learnt by a fixed point");
  return { ...plan, model: { ...plan.model, dModel: 4, solver: { kind: "sequential", ...limits } } };
}

describe("the ways in which a run is solved", () => {
  const made = parityStory.plan(0);
  const config = (model: Partial<FixedPointModel>): RunConfig => ({
    ...made,
    model: { ...made.model, ...model } as FixedPointModel,
    backend: "wasm",
    relaxed: false,
  });
  const names = (model: Partial<FixedPointModel>): readonly string[] =>
    trainingVariants(config(model), 16).map(({ solver = "", label }) => `${solver} ${label}`);
  const limits = { tol: 0.03, maxSteps: 40 };
  const truncated = { kind: "truncated", steps: 1 } as const;

  test.each<[string, Partial<FixedPointModel>, readonly string[]]>([
    [
      "sequential, and by picard",
      {},
      ["sequential tol 0.03", "sequential tol 0.003", "picard tol 0.03", "picard tol 0.003"],
    ],
    [
      "picard, and sequential",
      { solver: { kind: "picard", ...limits }, adjoint: truncated },
      ["picard tol 0.03", "picard tol 0.003", "sequential tol 0.03", "sequential tol 0.003"],
    ],
    [
      "chunked, and by picard",
      { solver: { kind: "chunked", chunk: 4, ...limits } },
      ["chunked(4) tol 0.03", "chunked(4) tol 0.003", "picard tol 0.03", "picard tol 0.003"],
    ],
    [
      "without a tolerance, by numbers of iterations",
      { solver: { kind: "sequential", tol: 0, maxSteps: 40 } },
      ["sequential 40 iterations", "sequential 80 iterations", "picard 400 iterations"],
    ],
    [
      "unrolled, and solved",
      { solver: { kind: "picard", ...limits }, adjoint: { kind: "unrolled", steps: 8 } },
      ["unrolled 8 sweeps", "picard tol 0.003", "sequential tol 0.03", "sequential tol 0.003"],
    ],
  ])("are %s", (_, model, expected) => expect(names(model)).toEqual(expected));

  test("are none but the model where nothing is solved", () => {
    const plain = { ...config({}), model: { kind: "mamba", dState: 4, dModel: 8, expand: 1, layers: 1 } } as const;
    expect(trainedVariants(plain)).toMatchObject([{ label: "no solver" }]);
    expect(secondVariants(plain, 16)).toEqual([]);
  });
});
