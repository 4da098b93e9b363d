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
  const { code, stdout, stderr } = await run(["start", "--quick", "--json"]);
  expect(stderr).not.toContain("error");
  expect(code).toBe(0);
  const lines = jsonLines(stdout);
  const rows = lines.filter(({ type }) => type === "evaluation");
  const solved = rows.filter(({ variant }) => variant !== "no solver");
  expect(solved.map(({ length }) => length)).toEqual([16, 16, 64, 64, 256, 256, 16, 16, 64, 64, 256, 256]);
  expect(new Set(solved.map(({ solver }) => solver))).toEqual(new Set(["sequential", "picard"]));
  for (const row of solved) expect(row["tokenAccuracy"]).toBeGreaterThan(0.99);
  const baseline = rows.filter(({ variant }) => variant === "no solver");
  expect(baseline.map(({ length }) => length)).toEqual([16, 64, 256]);
  for (const row of baseline) expect(row["tokenAccuracy"]).toBeLessThan(0.9);
  expect(lines[0]).toMatchObject({
    type: "run",
    config: { backend: "wasm" },
    folder: expect.stringMatching(/^runs\/start-\d{8}-\d{6}$/),
  });
  const metrics = await readFile(join(folder, String(lines[0]!["folder"]), "metrics.jsonl"), "utf8");
  const second = lines.findIndex(({ type }, i) => i > 0 && type === "run");
  expect(jsonLines(metrics)).toEqual(lines.slice(1, second));
});

const long = ["train", "--batch", "4", "--d-model", "4", "--length", "3", "--steps", "100000", "--json"];

/** --relaxed runs in a second process on Node 20: streams, signals and exit codes have to pass through the first. */
const ways: readonly (readonly [string, readonly string[]])[] = [
  ["", []],
  ["-relaxed", ["--relaxed"]],
];

test.each(ways)(
  "Ctrl-C saves and ends with 130, and the run goes on: cut%s",
  { timeout: 60_000 },
  async (name, args) => {
    const out = `cut${name}`;
    let sent = false;
    const interrupted = await run([...long, ...args, "--out", out], (child, text) => {
      if (sent || !text.includes('"step":5,')) return;
      sent = true;
      child.kill("SIGINT");
    });
    expect(interrupted.code).toBe(130);
    expect(interrupted.stderr).toContain(`--resume ${out}`);
    const last = jsonLines(interrupted.stdout).at(-1);
    expect(last).toMatchObject({ type: "stop", reason: "interrupted" });
    const resumed = await run(["train", "--resume", out, "--steps", String(Number(last!["step"]) + 2), "--json"]);
    expect(resumed.code).toBe(0);
    const backend = args.length === 0 ? "wasm" : "wasm (relaxed SIMD)";
    expect(jsonLines(resumed.stdout)[0]).toMatchObject({ type: "resume", step: last!["step"], backend });
  },
);

test("a process that was started anew with a flag ends with the one that was killed", { timeout: 60_000 }, async () => {
  let killed = false;
  // Its streams are closed when both processes are gone.
  const { code } = await run([...long, "--relaxed", "--out", "orphan"], (child, text) => {
    if (killed || !text.includes('"step":5,')) return;
    killed = true;
    child.kill("SIGKILL");
  });
  expect([code, killed]).toEqual([null, true]);
});

test("doctor --relaxed tests relaxed SIMD and would use it", { timeout: 60_000 }, async () => {
  const { code, stdout, stderr } = await run(["doctor", "--relaxed"]);
  expect([code, stderr]).toEqual([0, ""]);
  expect(stdout).toMatch(/relaxed SIMD {2}yes\n/);
  expect(stdout).toMatch(/wasm --relaxed {2}starts, .*, right within /);
  expect(stdout).toContain("used          wasm --relaxed: the options ask for it");
  const refused = await run(["train", "--relaxed", "--group", "Q8"]);
  expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining("unknown group 'Q8'")]);
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
