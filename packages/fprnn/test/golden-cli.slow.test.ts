/** `npm run golden` as people run it: what it prints and how it exits. */
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it } from "vitest";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const fixture = fileURLToPath(new URL("golden/prim_shift.json", import.meta.url));
let folder = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "golden-"));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

function golden(
  path = folder,
  ...options: readonly string[]
): { readonly status: number | null; readonly output: string } {
  const args = ["scripts/run-ts.mjs", "packages/fprnn/test/golden-cli.ts", ...options];
  const env = { ...process.env, BANACH_GOLDEN: path };
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, env, encoding: "utf8" });
  return { status, output: stdout + stderr };
}

it("exits 0 when every file agrees", () => {
  copyFileSync(fixture, join(folder, "shift.json"));
  expect(golden()).toMatchObject({ status: 0, output: expect.stringContaining("1 of 1 files agree") as string });
});

it("compares another backend within the budgets of its precision", () => {
  copyFileSync(fixture, join(folder, "shift.json"));
  const { status, output } = golden(folder, "--backend", "wasm");
  expect(output).toContain("1 of 1 files agree within the budgets of float32 (wasm)");
  expect(status).toBe(0);
});

it("exits 2 with the names for a backend that does not exist", () => {
  const { status, output } = golden(folder, "--backend", "abacus");
  expect(output).toContain("no backend is called abacus; --backend takes reference, reference-float32, wasm, webgpu");
  expect(status).toBe(2);
  expect(golden(folder, "--bakend", "wasm")).toMatchObject({
    status: 2,
    output: expect.stringContaining("usage: npm run golden -- [--backend reference|") as string,
  });
});

it("exits 2 with a message when there is nothing to compare", () => {
  const missing = golden(join(folder, "missing"));
  expect(missing).toMatchObject({ status: 2, output: expect.stringContaining("cannot read the folder") as string });
  expect(missing.output).not.toMatch(/^\s+at /m);
  expect(golden()).toMatchObject({ status: 2, output: expect.stringContaining("no .json file") as string });
  writeFileSync(join(folder, "later.json"), '{ "kind": "Mamba" }');
  const { status, output } = golden();
  expect(status).toBe(2);
  expect(output).toContain("not built yet (1): later.json");
});

it("exits 1 for a kind that does not exist", () => {
  copyFileSync(fixture, join(folder, "shift.json"));
  writeFileSync(join(folder, "typo.json"), '{ "kind": "FPRRN" }');
  const { status, output } = golden();
  expect(status).toBe(1);
  expect(output).toContain("of unknown kind (1): typo.json");
  expect(output).not.toContain("not built yet");
});
