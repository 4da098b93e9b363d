import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { open } from "@banach/autograd";
import { wasm } from "@banach/backend-wasm";
import { webgpu } from "@banach/backend-webgpu";
import { afterAll, beforeAll, expect, test } from "vitest";
import { banach, jsonLines, tiny } from "./world.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "banach-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test("a run is trained, goes on and is evaluated on webgpu, and its folder says so", async () => {
  const run = join(folder, "run");
  const trained = await banach(["train", ...tiny, "--layer", "mamba", "--backend", "webgpu", "--out", run]);
  expect(trained.code, trained.stderr).toBe(0);
  expect(trained.stderr).toMatch(/backend webgpu \(.*limits of the adapter.*\)\n/);
  expect(JSON.parse(await readFile(join(run, "config.json"), "utf8"))).toMatchObject({ backend: "webgpu" });

  // Without the option, as in training.
  const resumed = await banach(["train", "--resume", run, "--steps", "4", "--json"]);
  expect([resumed.code, jsonLines(resumed.stdout)[0]]).toEqual([
    0,
    { type: "resume", step: 3, steps: 4, backend: "webgpu" },
  ]);
  const lengths = ["--lengths", "3", "--batch", "4"];
  const evaluated = await banach(["eval", run, ...lengths]);
  expect(evaluated.code).toBe(0);
  expect(evaluated.stderr).not.toContain("now on");
  const elsewhere = await banach(["eval", run, ...lengths, "--backend", "wasm"]);
  expect(elsewhere.code).toBe(0);
  expect(elsewhere.stderr).toContain("trained on webgpu so far, now on wasm");
});

test("doctor says which adapters there are, and that webgpu starts and agrees", async () => {
  const { code, stdout } = await banach(["doctor", "--backend", "webgpu", "--json"]);
  expect(code).toBe(0);
  const [line] = jsonLines(stdout) as unknown as [{ webgpu: unknown; backends: { name: string }[]; used: string }];
  expect(line.used).toBe("webgpu");
  expect(line.backends.find(({ name }) => name === "webgpu")).toMatchObject({ refused: null, agrees: true });
  const adapter = { name: expect.any(String), limits: { maxStorageBuffersPerShaderStage: expect.any(Number) } };
  expect(line.webgpu).toMatchObject({
    problem: null,
    adapters: [
      { request: "default", adapter },
      { request: "high-performance" },
      { request: "low-power" },
      { request: "fallback" },
    ],
  });
});

test("open() goes on to the next backend, and says why webgpu did not start", async () => {
  // No device has so much; where there is no adapter at all that is the reason.
  const impossible = () => webgpu({ limits: { maxComputeInvocationsPerWorkgroup: 2 ** 30 } });
  const { device, refused } = await open({ prefer: [impossible, wasm] });
  await using opened = device;
  expect(opened.name).toBe("wasm");
  expect(refused).toHaveLength(1);
  expect(refused[0]!.message).toMatch(
    /^webgpu: maxComputeInvocationsPerWorkgroup 1073741824 is asked for, and .* has \d+$/,
  );
});
