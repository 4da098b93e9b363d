import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { banach, jsonLines } from "./world.ts";

test("with gain 2 FP-RNN leaves the region of contraction: it is seen, skipped, told, and training goes on", async () => {
  const folder = await mkdtemp(join(tmpdir(), "banach-"));
  try {
    const run = join(folder, "run");
    const { code, stderr } = await banach(["train", "--gain", "2", "--rank", "4", "--steps", "220", "--out", run]);
    expect(code).toBe(0);
    const lines = jsonLines(await readFile(join(run, "metrics.jsonl"), "utf8"));
    const steps = lines.filter(({ type }) => type === "step");
    const first = steps.findIndex(({ diverged }) => Number(diverged) > 0);
    expect(first).toBeGreaterThan(10);
    expect(steps.slice(0, first).every(({ skipped }) => skipped === false)).toBe(true);
    expect(steps.filter(({ diverged }) => Number(diverged) > 0).every(({ skipped }) => skipped)).toBe(true);
    // It goes on: with the batches in which nothing diverges.
    expect(steps.slice(first).some(({ skipped }) => skipped === false)).toBe(true);
    const stop = lines.find(({ type }) => type === "stop");
    const diverged = steps.reduce((sum, line) => sum + Number(line["diverged"]), 0);
    const skipped = steps.filter((line) => line["skipped"] === true).length;
    expect(stop).toMatchObject({ reason: "steps", diverged, skipped });
    expect(stderr).toMatch(new RegExp(`warning: step ${first + 1}: \\d+ sequences diverged, update skipped`));
    expect(stderr).toMatch(/accuracy \d+\.\d % {2}diverged \d+/);
    expect(stderr).toContain(`updates skipped ${skipped}, sequences not converged`);
    expect(stderr).toContain(`, diverged ${diverged}`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
