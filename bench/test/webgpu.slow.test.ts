import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import type { WebgpuReport } from "../src/webgpu/command.ts";

const command = fileURLToPath(new URL("../run.mjs", import.meta.url));
const bench = (...args: string[]) =>
  promisify(execFile)(process.execPath, [command, "--suite", "webgpu", "--tiny", "--samples", "1", ...args]);

const groups = "gemm,elementwise,layer-norm,recurrence,fp-mamba,dispatch";

function expectReport(report: WebgpuReport): void {
  expect(report).toMatchObject({ suite: "webgpu", machine: { clock: "wall" } });
  expect(report.machine.adapter).not.toBe("none");
  expect(Object.keys(report.machine.versions)).toEqual(["jax-js", "tfjs"]);
  expect(report.rows).toHaveLength(10);
  for (const row of report.rows) {
    expect(Object.keys(row)).toEqual(["work", "unit", "ours", "peers", "ratio", "ceiling", "fraction"]);
    expect(row.ours, row.work).toBeGreaterThan(0);
    const alone = row.unit === "iterations" || row.work.endsWith("encoding");
    expect(Object.keys(row.peers), row.work).toEqual(alone ? [] : ["jax-js", "tfjs"]);
  }
  for (const sent of report.sent) {
    expect(sent.dispatches, `${sent.work}, ${sent.by}`).toBeGreaterThan(0);
    if (sent.by === "fused") expect(sent.bytes, sent.work).toBeGreaterThan(0);
    if (sent.work.endsWith("encoding")) expect(sent.floor).toBeGreaterThan(0);
  }
}

describe("npm run bench -- --suite webgpu", () => {
  test("prints one object with rows, and what each contestant sends", { timeout: 240_000 }, async () => {
    const { stdout } = await bench("--json", "--only", groups);
    const report = JSON.parse(stdout) as WebgpuReport;
    expectReport(report);
    expect(report.machine.where).toBe("Node");
    expect(report.device).toBeNull();
  });

  test("runs on a page, with timestamps", { timeout: 240_000 }, async () => {
    const { stdout } = await bench("--json", "--only", groups, "--page", "--timestamps");
    const report = JSON.parse(stdout) as WebgpuReport;
    expectReport(report);
    expect(report.machine.where).toBe("a page in Chromium");
    expect(report.device?.copy).toBeGreaterThan(0);
    expect(report.notes.join()).not.toMatch(/not isolated/);
  });

  test("refuses what it does not know", { timeout: 60_000 }, async () => {
    await expect(bench("--only", "abacus")).rejects.toMatchObject({ code: 2 });
    await expect(bench("--clock", "cpu")).rejects.toMatchObject({ code: 2 });
  });
});
