import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { banach } from "./world.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "banach-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const tiny = ["--batch", "4", "--d-model", "4", "--expand", "1", "--length", "3", "--length-schedule", "fixed"];

const carryOf = async (run: string): Promise<unknown> =>
  (JSON.parse(await readFile(join(run, "config.json"), "utf8")) as { carry?: unknown }).carry;

test.each([
  [null, []],
  [{ above: 0.97, tokens: 128 }, ["--carry-above", "0.97"]],
  [{ above: 1e-6, tokens: 8 }, ["--carry-above", "1e-6", "--carry-tokens", "8"]],
])("sequences go on as config.json says, %j, also in a run that is resumed", async (carry, flags) => {
  const [once, twice] = [join(folder, `once${flags.length}`), join(folder, `twice${flags.length}`)];
  expect((await banach(["train", ...tiny, ...flags, "--steps", "6", "--out", once])).code).toBe(0);
  expect(await carryOf(once)).toEqual(carry);
  expect((await banach(["train", ...tiny, ...flags, "--steps", "3", "--out", twice])).code).toBe(0);
  expect((await banach(["train", "--resume", twice, "--steps", "6"])).code).toBe(0);
  const bytes = (run: string): Promise<Buffer> => readFile(join(run, "checkpoint.safetensors"));
  expect((await bytes(twice)).equals(await bytes(once))).toBe(true);
});

test("a number of tokens alone is refused", async () => {
  const { code, stderr } = await banach(["train", ...tiny, "--carry-tokens", "8", "--out", join(folder, "never")]);
  expect([code, stderr]).toEqual([2, expect.stringContaining("--carry-tokens 8 means nothing without --carry-above")]);
});
