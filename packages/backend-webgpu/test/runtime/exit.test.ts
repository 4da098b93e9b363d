import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Far more than any machine needs: what takes longer hangs. */
const HANGS = 60_000;

/** Runs the program beside this test in a process of its own, which is killed if it hangs. */
function run(way: string): Promise<Ended> {
  const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
  const child = spawn(process.execPath, [path("../../../../scripts/run-ts.mjs"), path("./ends-by-itself.ts"), way], {
    timeout: HANGS,
    killSignal: "SIGKILL",
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => {
      resolve({ code, signal, stdout, stderr });
    });
  });
}

const ENDS = ["drained", "exit 0"];

it.each([
  ["disposes", [], ENDS],
  ["does not dispose", [], ENDS],
  ["reads", ["read"], ENDS],
  ["runs", ["ran"], ENDS],
  ["reads, runs and disposes", ["read", "ran", "disposed"], ENDS],
  ["leaves in mid-run", [], ["exit 0"]],
])(
  "a process ends by itself, cleanly, where it %s",
  async (way, said, ends) => {
    const { code, signal, stdout, stderr } = await run(way);
    expect(stderr).toBe("");
    const [done, ...after] = stdout.trim().split("\n");
    expect(done).toBe("done 5");
    expect(after.slice(0, said.length).sort()).toEqual([...said].sort());
    // The event loop has nothing left to wait for, and what ends the process is nothing else.
    expect(after.slice(said.length)).toEqual(ends);
    expect({ code, signal }).toEqual({ code: 0, signal: null });
  },
  2 * HANGS,
);
