import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import type { Report } from "../src/report.ts";

const command = fileURLToPath(new URL("../run.mjs", import.meta.url));
const bench = (...args: string[]) => promisify(execFile)(process.execPath, [command, ...args]);

describe("npm run bench -- --suite wasm", () => {
  test("prints one object whose rows have medians, ratios and ceilings", { timeout: 120_000 }, async () => {
    const { stdout } = await bench("--suite", "wasm", "--json", "--tiny", "--samples", "1");
    const report = JSON.parse(stdout) as Report;
    expect(Object.keys(report)).toEqual(["machine", "suite", "rows"]);
    expect(report.suite).toBe("wasm");
    expect(report.machine).toMatchObject({ node: process.versions.node, clock: "wall" });
    expect(report.machine.cores).toBeGreaterThan(0);
    expect(Object.keys(report.machine.versions)).toEqual(["jax-js", "tfjs", "onnxruntime-web"]);
    for (const load of [report.machine.loadBefore, report.machine.loadAfter]) expect(load).toHaveLength(3);
    expect(report.rows).toHaveLength(24);
    for (const row of report.rows) {
      expect(Object.keys(row)).toEqual(["work", "unit", "ours", "peers", "ratio", "ceiling", "fraction"]);
      expect(row.ours, row.work).toBeGreaterThan(0);
      const peers = Object.values(row.peers);
      for (const value of peers) expect(value, row.work).toBeGreaterThan(0);
      if (peers.length === 0) expect(row.ratio, row.work).toBeNull();
      else {
        const best = row.unit === "GFLOP/s" ? row.ours / Math.max(...peers) : Math.min(...peers) / row.ours;
        expect(row.ratio, row.work).toBeCloseTo(best, 6);
      }
      if (row.ceiling === null) expect(row.fraction, row.work).toBeNull();
      else {
        const { value } = row.ceiling;
        const share = row.unit === "GFLOP/s" ? row.ours / value : value / row.ours;
        expect(row.fraction, row.work).toBeCloseTo(share, 6);
      }
    }
    // The selective scan, the FP-RNN, the A5 step and its iterations, the loop, the two compilations and relaxed SIMD.
    expect(report.rows.filter(({ ratio }) => ratio === null)).toHaveLength(9);
    expect(report.rows.filter(({ unit }) => unit === "iterations").map(({ ours }) => ours >= 1)).toEqual([true]);
    const threads = report.rows.filter(({ work }) => work.endsWith("2 threads"));
    expect(threads.map(({ peers }) => Object.keys(peers))).toEqual([["1 thread"], ["1 thread"], ["1 thread"]]);
  });

  test("refuses what it does not know, with the usage", { timeout: 60_000 }, async () => {
    await expect(bench("--suite", "abacus")).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining("there is no suite abacus"),
    });
    await expect(bench("--only", "nothing")).rejects.toMatchObject({ code: 2 });
    await expect(bench("--what")).rejects.toMatchObject({ code: 2 });
  });
});
