import { describe, expect, test } from "vitest";
import { storyFor } from "../../src/cli/start-command.ts";
import { a5Story } from "../../src/cli/a5-story.ts";
import { parityStory } from "../../src/cli/parity-story.ts";
import { buildModel, buildTask } from "../../src/models/build.ts";
import { accuracyAt, fullLengthOf } from "../../src/cli/session.ts";
import { missedBy, missedByBaseline } from "../../src/cli/story.ts";
import { secondVariants, trainedVariants, trainingVariants } from "../../src/cli/variants.ts";
import { type FixedPointModel, formatConfig, parseConfig, type RunConfig } from "../../src/run/config.ts";
import type { EvaluationRow } from "../../src/train/index.ts";

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
