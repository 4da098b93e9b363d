import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import type { Report } from "../src/report.ts";

const command = fileURLToPath(new URL("../run.mjs", import.meta.url));
const bench = (...args: string[]) => promisify(execFile)(process.execPath, [command, "--suite", "fprnn", ...args]);

const solvers = ["sequential", "auto", "chunked", "picard", "anderson", "newton"];

describe("npm run bench -- --suite fprnn", () => {
  test("prints every solver's times and iterations, tokens and PyTorch", { timeout: 240_000 }, async () => {
    const { stdout } = await bench("--json", "--tiny", "--samples", "1");
    const report = JSON.parse(stdout) as Report;
    expect(Object.keys(report)).toEqual(["machine", "suite", "rows"]);
    expect(report.suite).toBe("fprnn");
    const byName = new Map(report.rows.map((row) => [row.work, row]));
    expect(byName.size).toBe(report.rows.length);
    for (const row of report.rows) {
      expect(Object.keys(row)).toEqual(["work", "unit", "ours", "peers", "ratio", "ceiling", "fraction"]);
      // A difference may be none.
      if (row.unit !== "relative") expect(row.ours, row.work).toBeGreaterThan(0);
    }
    for (const solver of solvers) {
      for (const use of ["forward", "train"]) {
        for (const sizes of ["T2 B4", "T4 B2"]) {
          const name = `${solver} ${use} ${sizes}`;
          expect(byName.get(name), name).toMatchObject({ unit: "ms", peers: {}, ratio: null, ceiling: null });
          expect(byName.get(`${name}, solver`), name).toMatchObject({ unit: "iterations" });
        }
      }
    }
    for (const name of ["sequential per token T4 B2", "step per token T4 B1"]) {
      const { unit, ours, ceiling, fraction } = byName.get(name) ?? expect.fail(name);
      expect({ unit, ceiling: ceiling?.name }).toEqual({ unit: "us", ceiling: "T2" });
      expect(fraction).toBeCloseTo((ceiling?.value ?? Number.NaN) / ours, 6);
    }

    const steps = report.rows.filter(({ work, unit }) => work.startsWith("A5 step") && unit === "ms");
    expect(steps.length).toBeGreaterThanOrEqual(4);
    const isInstalled = "PyTorch" in report.machine.versions;
    for (const { work, peers, ratio, ours } of steps) {
      expect(work.endsWith("(python3-torch is not installed)"), work).toBe(!isInstalled);
      expect(Object.keys(peers), work).toEqual(isInstalled ? ["PyTorch"] : []);
      if (isInstalled) expect(ratio, work).toBeCloseTo((peers["PyTorch"] ?? Number.NaN) / ours, 6);
      else expect(ratio, work).toBeNull();
    }
    const differences = report.rows.filter(({ unit }) => unit === "relative");
    expect(differences).toHaveLength(isInstalled ? 2 : 0);
    for (const { ours, work } of differences) expect(ours, work).toBeLessThanOrEqual(1e-3);
  });

  test("goes on without PyTorch where it is not wanted", { timeout: 120_000 }, async () => {
    const { stdout } = await bench("--json", "--tiny", "--samples", "1", "--no-peers", "--only", "pytorch");
    const { machine, rows } = JSON.parse(stdout) as Report;
    expect(machine.versions).toEqual({});
    expect(rows.filter(({ ratio }) => ratio !== null)).toEqual([]);
    expect(rows.filter(({ unit }) => unit === "ms").length).toBeGreaterThanOrEqual(4);
  });
});
