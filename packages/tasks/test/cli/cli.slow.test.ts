import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { jsonLines } from "./world.ts";

/** The built command: `npm test` builds before it tests. */
const command = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "banach-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly seconds: number;
}

function run(args: readonly string[], onStdout?: (child: ChildProcess, text: string) => void): Promise<Ended> {
  const startedAt = performance.now();
  const child = spawn(process.execPath, [command, ...args], { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
    onStdout?.(child, stdout);
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout, stderr, seconds: (performance.now() - startedAt) / 1000 }));
  });
}

test("start learns parity at every length, and says where its run is", { timeout: 300_000 }, async () => {
  const { code, stdout, stderr, seconds } = await run(["start", "--json"]);
  expect(stderr).not.toContain("error");
  expect(code).toBe(0);
  expect(seconds).toBeLessThan(240);
  const lines = jsonLines(stdout);
  const rows = lines.filter(({ type }) => type === "evaluation");
  expect(rows.map(({ length }) => length)).toEqual([16, 16, 32, 32, 48, 48, 64, 64]);
  for (const row of rows) expect(row["tokenAccuracy"]).toBeGreaterThan(0.99);
  expect(lines[0]).toMatchObject({ type: "run", folder: expect.stringMatching(/^runs\/start-\d{8}-\d{6}$/) });
  const metrics = await readFile(join(folder, String(lines[0]!["folder"]), "metrics.jsonl"), "utf8");
  expect(jsonLines(metrics)).toEqual(lines.slice(1));
});

const long = ["train", "--batch", "4", "--d-model", "4", "--length", "3", "--steps", "100000", "--json"];

test("Ctrl-C saves and ends with 130, and the run goes on", { timeout: 60_000 }, async () => {
  let sent = false;
  const interrupted = await run([...long, "--out", "cut"], (child, text) => {
    if (sent || !text.includes('"step":5,')) return;
    sent = true;
    child.kill("SIGINT");
  });
  expect(interrupted.code).toBe(130);
  expect(interrupted.stderr).toContain("--resume cut");
  const last = jsonLines(interrupted.stdout).at(-1);
  expect(last).toMatchObject({ type: "stop", reason: "interrupted" });
  const resumed = await run(["train", "--resume", "cut", "--steps", String(Number(last!["step"]) + 2), "--json"]);
  expect(resumed.code).toBe(0);
  expect(jsonLines(resumed.stdout)[0]).toMatchObject({ type: "resume", step: last!["step"] });
});

test("a run killed at any time leaves a folder that goes on", { timeout: 60_000 }, async () => {
  let sent = false;
  const killed = await run([...long, "--out", "killed"], (child, text) => {
    if (sent || !text.includes('"step":5,')) return;
    sent = true;
    child.kill("SIGKILL");
  });
  expect(killed.code).toBe(null);
  const resumed = await run(["train", "--resume", "killed", "--steps", "3", "--json"]);
  expect(resumed.code).toBe(0);
  // The only checkpoint was the first one; the metrics after it were dropped and made again.
  const metrics = await readFile(join(folder, "killed", "metrics.jsonl"), "utf8");
  const lines = jsonLines(metrics).filter(({ type }) => type === "step");
  expect(lines.map(({ step }) => step)).toEqual([1, 2, 3]);
});

test("usage errors end with 2, and the process ends by itself", { timeout: 60_000 }, async () => {
  const { code, stderr, seconds } = await run(["train", "--group", "Q8"]);
  expect([code, seconds < 5]).toEqual([2, true]);
  expect(stderr).toContain("unknown group 'Q8'");
});
