import { describe, expect, test } from "vitest";
import { storyFor } from "../../src/cli/start-command.ts";
import { a5Story } from "../../src/cli/a5-story.ts";
import { parityStory } from "../../src/cli/parity-story.ts";
import { buildModel, buildTask } from "../../src/models/build.ts";
import { accuracyAt, fullLengthOf } from "../../src/cli/session.ts";
import { missedBy } from "../../src/cli/story.ts";
import { formatConfig, parseConfig } from "../../src/run/config.ts";
import type { EvaluationRow } from "../../src/train/index.ts";

test.each([
  ["parity", parityStory],
  ["a5", a5Story],
])("the story %s is a valid run, shown at the trained length and beyond", (_, story) => {
  const config = parseConfig(formatConfig({ ...story.plan(0), backend: "wasm", relaxed: false }));
  expect(buildModel(config.model, buildTask(config).vocabulary)).toBeDefined();
  expect(story.lengths[0]).toBe(fullLengthOf(config));
  expect(Math.max(...story.lengths)).toBeGreaterThanOrEqual(4 * fullLengthOf(config));
  for (const { length } of story.wanted) expect(story.lengths).toContain(length);
});

test.each([
  ["wasm", false, a5Story],
  ["wasm", true, parityStory],
  ["reference", false, parityStory],
])("start on %s, quick %s", (backend, quick, story) => {
  expect(storyFor(backend, quick)).toBe(story);
});

describe("what is wanted of a story", () => {
  const row = (length: number, tokenAccuracy: number): EvaluationRow => ({
    variant: "",
    length,
    sequences: 256,
    tokenAccuracy,
    sequenceAccuracy: tokenAccuracy,
    iterations: 7,
    converged: 1,
  });
  const story = { wanted: [{ length: 16, accuracy: 0.99 }] };

  test("has to come out of every way of solving, not of the first alone", () => {
    const rows = [row(16, 1), row(16, 0.5), row(80, 0.1)];
    expect(accuracyAt(rows, 16)).toBe(0.5);
    expect(missedBy(story, rows)).toEqual(["only 50.0 % right at length 16, 99.0 % wanted"]);
    expect(missedBy(story, [row(16, 1), row(16, 0.99)])).toEqual([]);
  });

  test("has not come out where nothing was evaluated", () => {
    expect(accuracyAt([row(80, 1)], 16)).toBeNaN();
    expect(missedBy(story, [row(80, 1)])).toHaveLength(1);
  });
});
