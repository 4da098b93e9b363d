import { BackendUnavailableError } from "@banach/autograd";
import type { AdapterReport } from "@banach/backend-webgpu";
import { afterEach, describe, expect, test, vi } from "vitest";
import { compareSmokeTests, type SmokeTest } from "../../src/cli/smoke-test.ts";
import { banach, jsonLines } from "./world.ts";

const adapter = {
  name: "A Card",
  vendor: "maker",
  architecture: "",
  isFallback: false,
  features: ["depth-clip-control", "shader-f16"],
  limits: {
    maxBufferSize: 2 ** 31,
    maxStorageBufferBindingSize: 2 ** 30,
    maxStorageBuffersPerShaderStage: 8,
    maxComputeWorkgroupStorageSize: 2 ** 14,
    maxComputeInvocationsPerWorkgroup: 256,
    maxComputeWorkgroupSizeX: 256,
    maxComputeWorkgroupsPerDimension: 65_535,
  },
};

/** What there is of WebGPU; the real one has tests of its own. */
const machine = vi.hoisted<{ problem: string | null }>(() => ({ problem: "webgpu: the package is not there" }));
vi.mock("@banach/backend-webgpu", () => ({
  webgpu: () => Promise.reject(new BackendUnavailableError(machine.problem ?? "webgpu: no device")),
  describeAdapters: (): Promise<readonly AdapterReport[]> => {
    if (machine.problem !== null) return Promise.reject(new BackendUnavailableError(machine.problem));
    return Promise.resolve([
      { request: "default", adapter },
      { request: "high-performance", adapter: { ...adapter } },
      { request: "low-power", adapter: { ...adapter, name: "A Chip", isFallback: true } },
      { request: "fallback", adapter: null },
    ]);
  },
}));

afterEach(() => {
  machine.problem = "webgpu: the package is not there";
  vi.unstubAllGlobals();
});

test("doctor says what there is, what starts, and what would be used", async () => {
  const { code, stdout, stderr } = await banach(["doctor"]);
  expect([code, stderr]).toEqual([0, ""]);
  expect(stdout).toContain(`Node          ${process.version}, ${process.platform} ${process.arch}\n`);
  expect(stdout).toMatch(/memory {8}\d+(\.\d)? [MG]iB\n/);
  expect(stdout).toMatch(/WebAssembly {3}SIMD yes, threads yes, shared memory yes\nrelaxed SIMD {2}/);
  expect(stdout).toMatch(
    /wasm +starts, \d+ threads?: .*, arrays up to 4.0 GiB; 3 training steps in [\d.]+ s, right within /,
  );
  expect(stdout).toMatch(/reference +starts, .*; 3 training steps in [\d.]+ s\n/);
  expect(stdout).toContain("WebGPU        webgpu: the package is not there\n");
  expect(stdout).toMatch(/webgpu +does not start: webgpu: the package is not there\n/);
  expect(stdout).toContain("used          wasm: the fastest, and it starts");
});

test("doctor lists the adapters, those that are the same on one line", async () => {
  machine.problem = null;
  const { code, stdout } = await banach(["doctor"]);
  expect(code).toBe(0);
  const limits =
    "  limits      buffers 2.0 GiB, bindings 1.0 GiB, 8 of them per shader, workgroups of 256 with 16 KiB\n" +
    "  features    shader-f16 yes, subgroups no, timestamp-query no\n";
  expect(stdout).toContain(
    `WebGPU        A Card (default, high-performance)\n${limits}` +
      `WebGPU        A Chip, in software (low-power)\n${limits}` +
      "WebGPU        no adapter (fallback)\n",
  );
});

test("where webgpu is asked for and does not start, doctor ends with 3 and says why", async () => {
  const { code, stdout } = await banach(["doctor", "--backend", "webgpu", "--json"]);
  expect(code).toBe(3);
  expect(jsonLines(stdout)).toMatchObject([
    { webgpu: { problem: "webgpu: the package is not there", adapters: [] }, used: null, exitCode: 3 },
  ]);
});

test("doctor --json is one line with the same", async () => {
  const { code, stdout } = await banach(["doctor", "--json"]);
  expect(code).toBe(0);
  expect(jsonLines(stdout)).toMatchObject([
    {
      type: "doctor",
      machine: { node: process.version, webAssembly: { simd: true, threads: true } },
      backends: [
        { name: "wasm", refused: null, agrees: true, test: { steps: 3 } },
        { name: "wasm --relaxed" },
        { name: "reference", refused: null, agrees: true, difference: 0 },
        { name: "webgpu", refused: "webgpu: the package is not there", agrees: null },
      ],
      used: "wasm",
      exitCode: 0,
    },
  ]);
});

test("doctor --threads says how many there are, and why", async () => {
  const { code, stdout } = await banach(["doctor", "--threads", "2"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/wasm +starts, 2 threads: as asked for, .* right within /);
});

test("where wasm does not start, doctor says why and what is used instead", async () => {
  vi.stubGlobal("WebAssembly", undefined);
  const { code, stdout } = await banach(["doctor"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/wasm +does not start: wasm: there is no WebAssembly/);
  expect(stdout).toContain("used          reference: wasm does not start");
  const asked = await banach(["doctor", "--backend", "wasm"]);
  expect(asked.code).toBe(3);
  expect(asked.stdout).toContain("used          none: wasm does not start");
});

test("a backend that computes something else ends with 1", async () => {
  // The reference takes its exponentials from here; wasm has its own.
  const exp = vi.spyOn(Math, "exp").mockImplementation((x) => 1.01 * Math.E ** x);
  const { code, stdout } = await banach(["doctor"]);
  exp.mockRestore();
  expect(code).toBe(1);
  expect(stdout).toMatch(/wasm +starts, .* WRONG: off the reference by \d/);
});

describe("figures", () => {
  const of = (...figures: readonly number[]): SmokeTest => ({ steps: figures.length, figures, seconds: 1 });
  test.each([
    [of(1, -2), of(1, -2), true],
    [of(1, 2 + 1e-5), of(1, 2), true],
    [of(1, 2.001), of(1, 2), false],
    [of(1, Number.NaN), of(1, 2), false],
    [of(Number.NaN, 2), of(1, 2), false],
    [of(1), of(1, 2), false],
  ])("%j against %j", (actual, expected, agrees) => {
    expect(compareSmokeTests(actual, expected).agrees).toBe(agrees);
  });
});
