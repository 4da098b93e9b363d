import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { banach, jsonLines } from "./world.ts";

const tiny = ["--batch", "4", "--d-model", "4", "--expand", "1", "--length", "12", "--length-schedule", "fixed"];

test("a backward solve that fails is counted, told, and named as the reason to stop", async () => {
  const folder = await mkdtemp(join(tmpdir(), "banach-"));
  try {
    const run = join(folder, "run");
    const layer = ["--layer", "fp-mamba", "--state", "2", "--gain", "2", "--rank", "4"];
    const by = ["--adjoint", "implicit", "--max-steps", "400", "--lr", "1"];
    const { code, stderr } = await banach(["train", ...tiny, ...layer, ...by, "--steps", "400", "--out", run]);
    expect([code, stderr]).toEqual([1, expect.stringContaining("the backward solve of the adjoint failed")]);
    const lines = jsonLines(await readFile(join(run, "metrics.jsonl"), "utf8"));
    const failed = lines
      .filter(({ type }) => type === "step")
      .reduce((sum, line) => sum + Number(line["adjointFailed"]), 0);
    expect(lines.find(({ type }) => type === "stop")).toMatchObject({ reason: "adjointFailed", adjointFailed: failed });
    expect(stderr).toMatch(/warning: step \d+: the backward solve failed for \d+ sequences/);
    expect(stderr).toContain(`backward solves failed ${failed}. Use --gain 1 or another --adjoint`);
    expect(stderr).not.toContain("Lower the learning rate");
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
