import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { probeFeatures } from "@banach/backend-wasm";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { formatBackend, preferred, RELAXED_FLAG } from "../../src/cli/backends.ts";
import { banach, jsonLines } from "./world.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "banach-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
afterEach(() => vi.unstubAllGlobals());

const tiny = ["--batch", "4", "--d-model", "4", "--expand", "1", "--length", "3", "--steps", "2"];

const recorded = async (path: string): Promise<unknown> => {
  const { backend, relaxed } = JSON.parse(await readFile(join(path, "config.json"), "utf8")) as Record<string, unknown>;
  return [backend, relaxed];
};

test.each([
  [{}, undefined, ["wasm", "reference"]],
  [{ backend: "reference" }, undefined, ["reference"]],
  [{ relaxed: true }, undefined, ["wasm --relaxed"]],
  [{ backend: "wasm", relaxed: true }, undefined, ["wasm --relaxed"]],
  [{}, { backend: "reference", relaxed: false }, ["reference", "wasm"]],
  [{}, { backend: "wasm", relaxed: true }, ["wasm --relaxed", "wasm", "reference"]],
  [{ backend: "wasm" }, { backend: "wasm", relaxed: true }, ["wasm"]],
  [{ backend: "webgpu" }, undefined, ["webgpu"]],
  [{}, { backend: "webgpu", relaxed: false }, ["webgpu", "wasm", "reference"]],
  [{ threads: 2 }, undefined, ["wasm"]],
])("options %j after a run on %j: %j will do", (flags, before, names) => {
  expect(preferred(flags, before).map(formatBackend)).toEqual(names);
});

test("a run is on wasm unless told otherwise, and its folder says so", async () => {
  const run = join(folder, "default");
  const { code, stderr } = await banach(["train", ...tiny, "--out", run]);
  expect([code, await recorded(run)]).toEqual([0, ["wasm", false]]);
  expect(stderr).toMatch(/backend wasm \(\d+ threads?: .*\)\n/);
  expect(stderr).not.toContain("did not start");
});

test("a run goes on, and is evaluated, on another backend, and the command says so", async () => {
  const run = join(folder, "moved");
  await banach(["train", ...tiny, "--backend", "reference", "--out", run]);
  const said = "trained on reference so far, now on wasm: numbers agree within rounding, not bit for bit";
  const lengths = ["--lengths", "3", "--batch", "4"];

  expect((await banach(["eval", run, ...lengths])).stderr).not.toContain("now on");
  const evaluated = await banach(["eval", run, ...lengths, "--backend", "wasm"]);
  expect([evaluated.code, await recorded(run)]).toEqual([0, ["reference", false]]);
  expect(evaluated.stderr).toContain(said);

  const resumed = await banach(["train", "--resume", run, "--steps", "3", "--backend", "wasm", "--json"]);
  expect([resumed.code, await recorded(run)]).toEqual([0, ["wasm", false]]);
  expect(resumed.stderr).toContain(said);
  expect(jsonLines(resumed.stdout)[0]).toMatchObject({ type: "resume", step: 2, backend: "wasm" });
});

test("without WebAssembly the reference is used, and the reason is said once", async () => {
  vi.stubGlobal("WebAssembly", undefined);
  const run = join(folder, "without");
  const { code, stderr } = await banach(["train", ...tiny, "--out", run]);
  expect([code, await recorded(run)]).toEqual([0, ["reference", false]]);
  expect(stderr.match(/wasm did not start, so reference is used, .*no WebAssembly/g)).toHaveLength(1);
});

test("a backend that is asked for and does not start ends with 3 and its reason, and changes nothing", async () => {
  const run = join(folder, "kept");
  await banach(["train", ...tiny, "--backend", "reference", "--out", run]);
  vi.stubGlobal("WebAssembly", undefined);
  for (const args of [
    ["train", ...tiny, "--out", join(folder, "never")],
    ["train", "--resume", run, "--steps", "9"],
    ["eval", run],
    ["start", "--quick", "--out", join(folder, "never")],
  ]) {
    const { code, stderr } = await banach([...args, "--backend", "wasm"]);
    expect([code, stderr]).toEqual([3, expect.stringContaining("there is no WebAssembly")]);
  }
  expect(await recorded(run)).toEqual(["reference", false]);
});

test.skipIf(probeFeatures().relaxedSimd)("--relaxed is left to a process that has the flag", async () => {
  const asked: string[] = [];
  const restart = (flag: string): Promise<number> => {
    asked.push(flag);
    return Promise.resolve(130);
  };
  for (const args of [
    ["start", "--relaxed"],
    ["doctor", "--relaxed"],
    ["train", ...tiny, "--relaxed"],
  ]) {
    expect(await banach(args, { restart })).toMatchObject({ code: 130, stdout: "", stderr: "" });
  }
  expect(asked).toEqual([RELAXED_FLAG, RELAXED_FLAG, RELAXED_FLAG]);
  await banach(["train", ...tiny, "--out", join(folder, "plain")], { restart });
  expect(asked).toHaveLength(3);
});

test.skipIf(probeFeatures().relaxedSimd)("--relaxed ends with 3 and the reason where no flag helps", async () => {
  const { code, stderr } = await banach(["train", ...tiny, "--relaxed", "--out", join(folder, "never")]);
  expect([code, stderr]).toEqual([3, expect.stringContaining("this engine has no relaxed SIMD")]);
});
