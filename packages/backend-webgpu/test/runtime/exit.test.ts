import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** From the last of the program's work to the end of the process. */
  readonly seconds: number;
}

/** Runs the program beside this test in a process of its own. */
function run(way: string): Promise<Ended> {
  const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
  const child = spawn(process.execPath, [path("../../../../scripts/run-ts.mjs"), path("./ends-by-itself.ts"), way]);
  let [stdout, stderr, doneAt] = ["", "", NaN];
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
    if (text.includes("done")) doneAt = performance.now();
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => {
      resolve({ code, stdout, stderr, seconds: (performance.now() - doneAt) / 1000 });
    });
  });
}

it.each([
  ["disposes", []],
  ["does not dispose", []],
  ["reads", ["read"]],
  ["runs", ["ran"]],
  ["reads, runs and disposes", ["read", "ran", "disposed"]],
  ["leaves in mid-run", []],
])("a process ends by itself, cleanly and soon, where it %s", async (way, said) => {
  const { code, stdout, stderr, seconds } = await run(way);
  expect(stderr).toBe("");
  const [done, ...after] = stdout.trim().split("\n");
  expect(done).toBe("done 5");
  expect(after.sort()).toEqual([...said].sort());
  expect(code).toBe(0);
  expect(seconds).toBeLessThan(2);
});
