import { expect, test } from "vitest";
import { storyFor } from "../../src/cli/start-command.ts";
import { a5Story } from "../../src/cli/a5-story.ts";
import { parityStory } from "../../src/cli/parity-story.ts";
import { buildModel, buildTask } from "../../src/models/build.ts";
import { fullLengthOf } from "../../src/cli/session.ts";
import { formatConfig, parseConfig } from "../../src/run/config.ts";

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
