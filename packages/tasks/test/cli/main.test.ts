import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { banach, jsonLines, tiny } from "./world.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "banach-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("usage errors end with 2 and say what is valid", () => {
  test.each([
    [["train", "--task", "sorting"], "unknown task 'sorting'; valid: word-problem"],
    [["train", "--group", "Q8"], "unknown group 'Q8'; valid: Z<n> with n from 2 to 1000, S3, S4, S5, A4, A5"],
    [["train", "--score", "some"], "unknown score 'some'; valid: group, all"],
    [["train", "--solver", "magic"], "Allowed choices are sequential, picard, anderson, newton, chunked, auto"],
    [["train", "--backend", "abacus"], "Allowed choices are wasm, reference, webgpu"],
    [["train", "--relaxed", "--backend", "reference"], "backend reference has no relaxed SIMD"],
    [["doctor", "--relaxed", "--backend", "reference"], "backend reference has no relaxed SIMD"],
    [["train", "--layer", "rwkv"], "Allowed choices are fp-rnn, fp-mamba, fp-mamba-2, mamba"],
    [["train", "--state", "4"], "--state 4 is for layers of the Mamba family"],
    [["train", "--layer", "fp-mamba", "--head-dim", "4"], "--head-dim 4 is for --layer fp-mamba-2"],
    [["train", "--layer", "fp-mamba-2", "--head-dim", "5"], "headDim"],
    [["train", "--layer", "mamba", "--rank", "2", "--tol", "0.1"], "--rank, --tol: for layers that are fixed points"],
    [["train", "--layer", "mamba", "--adjoint", "truncated"], "--adjoint: for layers that are fixed points"],
    [["train", "--batch", "many"], "Expected a positive integer"],
    [["train", "--target", "1.5"], "Expected a number above 0 and up to 1"],
    [["train", "--learning", "1"], "valid: --task, --group, --score, --length"],
    [["train", "extra"], "too many arguments"],
    [["train", "--length", "3", "--min-length", "4"], "--min-length 4 is above --length 3"],
    [["train", "--out", ""], "Expected the path of a folder"],
    [["train", "--resume", ""], "Expected the path of a folder"],
    [["start", "--out", ""], "Expected the path of a folder"],
    [["start", "--backend", "webgpu", "--threads", "2"], "--threads: backend webgpu has none to choose; wasm has"],
    [["train", "--backend", "webgpu", "--relaxed"], "--relaxed: backend webgpu has no relaxed SIMD; wasm has"],
    [["start", "--backend", "reference", "--threads", "2"], "backend reference has none to choose"],
    [["train", "--threads", "0"], "Expected a positive integer"],
    [["eval", ""], "Expected the path of a folder"],
    [["--quiet"], "valid: --help; options of their own have start, train, eval, export, doctor"],
    [["train", "--solver", "picard", "--adjoint", "through-time"], "use adjoint truncated"],
    [["train", "--solver", "newton", "--adjoint", "through-time"], "with solver newton use adjoint truncated"],
    [
      ["train", "--solver", "anderson", "--adjoint", "through-time-implicit"],
      "adjoint through-time-implicit differentiates a sweep through time, as of solver sequential, chunked or auto; with solver anderson use adjoint truncated, neumann, implicit or unrolled",
    ],
    [["train", "--random-depth", "some"], "Allowed choices are none, gamma, schedule"],
    [["train", "--layer", "mamba", "--random-depth", "gamma"], "--random-depth: for layers that are fixed points"],
    [
      ["train", "--random-depth", "gamma", "--adjoint", "unrolled", "--adjoint-steps", "2"],
      "--random-depth gamma is for solvers; --adjoint unrolled runs none",
    ],
    [["train", "--adjoint", "exact"], "Allowed choices are through-time, through-time-implicit, truncated, neumann"],
    [
      ["train", "--adjoint-steps", "2"],
      "--adjoint-steps 2 is for --adjoint truncated, neumann, unrolled; through-time",
    ],
    [["train", "--adjoint", "implicit", "--adjoint-steps", "2"], "implicit makes no fixed number of steps"],
    [["train", "--adjoint", "unrolled"], "--adjoint unrolled needs --adjoint-steps"],
    [["train", "--layer", "mamba", "--adjoint-steps", "2"], "--adjoint-steps: for layers that are fixed points"],
    [["train", "--mixer", "blender"], "Allowed choices are householder, dplr, kronecker, monarch, dense, orthogonal"],
    [["train", "--mixer", "dense", "--rank", "2"], "--rank 2 is for --mixer householder, dplr; dense has none"],
    [["train", "--normalisation", "column"], "--normalisation column is for --mixer kronecker; householder has none"],
    [
      ["train", "--mixer", "dplr", "--factors", "2,4"],
      "--factors 2,4 is for --mixer kronecker, monarch; dplr has none",
    ],
    [["train", "--mixer", "kronecker", "--factors", "2"], "Expected two positive integers with a comma between them"],
    [
      ["train", "--mixer", "kronecker", "--factors", "3,5"],
      "kronecker: factors [3, 5] multiply to 15, but there are 32",
    ],
    [["train", "--reflections", "3"], "--reflections 3 is for --mixer orthogonal; householder has none"],
    [["train", "--mixer", "orthogonal", "--projection-rank", "1"], "--projection-rank 1 is for --mixer householder, "],
    [["train", "--gain", "3"], "Allowed choices are 1, 2"],
    [["train", "--mixer", "mixture"], "--mixer mixture needs --experts"],
    [
      ["train", "--mixer", "mixture", "--experts", "dplr,mixture"],
      "Expected mixers with commas between them, of house",
    ],
    [["train", "--experts", "dplr"], "--experts dplr is for --mixer mixture; householder has none"],
    [
      ["train", "--mixer", "mixture", "--experts", "dense,monarch", "--rank", "2"],
      "--rank 2 is for --mixer householder, dplr; mixture of dense, monarch has none",
    ],
    [["train", "--layer", "mamba", "--factors", "2,4"], "--factors: for layers that are fixed points"],
    [["train", "--chunk", "4"], "--chunk 4 is for --solver chunked; sequential does not cut sequences"],
    [["train", "--layer", "mamba", "--chunk", "4"], "--chunk: for layers that are fixed points"],
    [["dance"], "valid: start, train, eval, export, doctor"],
    [["eval"], "missing required argument 'folder'"],
    [["eval", "x", "--lengths", "1,zwei"], "Expected positive integers with commas"],
    [["eval", "/nowhere/at/all"], "/nowhere/at/all is not a run folder: it does not exist"],
    [[], "Usage: banach"],
  ])("%j", async (args, message) => {
    const { code, stdout, stderr } = await banach(args);
    expect(stderr).toContain(message);
    expect([code, stdout]).toEqual([2, ""]);
  });
});

test("help and its exit code", async () => {
  const help = await banach(["--help"]);
  expect(help.code).toBe(0);
  expect(help.stdout).toContain("Exit codes: 0 done, 1 a target was missed or a check failed, 2 unknown option");
  expect((await banach(["train", "--help"])).stdout).toContain("--group <value>");
  const lines = (await banach(["eval", "--help"])).stdout.replaceAll(/\s+/g, " ");
  expect(lines).toContain("10 times as many with --solver or --tol");
});

test("an error with --json is an object on stdout too", async () => {
  const { code, stdout } = await banach(["train", "--group", "Q8", "--json"]);
  expect(code).toBe(2);
  expect(jsonLines(stdout)).toMatchObject([{ type: "error", exitCode: 2 }]);
});

test("a run is trained, refused a second time, evaluated and resumed", { timeout: 30_000 }, async () => {
  const run = join(folder, "run");
  const trained = await banach(["train", ...tiny, "--out", run]);
  expect(trained.code).toBe(0);
  expect(trained.stdout).toMatch(/^length +solver +solved to +tokens right/);
  expect(trained.stdout).toMatch(/\n +3 +picard +tol 0\.003 /);
  expect(trained.stderr).toMatch(/training 3\/3 {2}ETA 0 s {2}loss /);
  expect(trained.stderr).not.toContain("\u001B");
  expect((await readdir(run)).sort()).toEqual(["checkpoint.safetensors", "config.json", "metrics.jsonl"]);

  const again = await banach(["train", ...tiny, "--out", run]);
  expect(again.code).toBe(2);
  expect(again.stderr).toContain("exists and is not empty");

  const evaluated = await banach(["eval", run, "--lengths", "3,6", "--batch", "4", "--batches", "1", "--json"]);
  expect(evaluated.code).toBe(0);
  expect(jsonLines(evaluated.stdout).map(({ type, length, variant }) => [type, length, variant])).toEqual([
    ...[3, 6].flatMap((length) => [
      ["evaluation", length, "sequential tol 0.03"],
      ["evaluation", length, "sequential tol 0.003"],
      ["evaluation", length, "picard tol 0.03"],
      ["evaluation", length, "picard tol 0.003"],
    ]),
  ]);
  const other = await banach(["eval", run, "--solver", "picard", "--lengths", "3", "--batch", "4", "--json"]);
  expect(jsonLines(other.stdout)).toMatchObject([{ variant: "picard tol 0.03, up to 400 iterations" }]);
  const tight = await banach(["eval", run, "--tol", "0.1", "--max-steps", "7", "--lengths", "3", "--json"]);
  expect(jsonLines(tight.stdout)).toMatchObject([{ variant: "sequential tol 0.1, up to 7 iterations" }]);

  const refused = await banach(["train", "--resume", run, "--lr", "1"]);
  expect(refused.code).toBe(2);
  expect(refused.stderr).toContain("--lr cannot be changed with --resume");

  const resumed = await banach(["train", "--resume", run, "--steps", "5", "--json"]);
  expect(resumed.code).toBe(0);
  const steps = jsonLines(resumed.stdout).filter(({ type }) => type === "step");
  expect(steps.map(({ step }) => step)).toEqual([4, 5]);
});

test.each([
  ["picard", "truncated"],
  ["anderson", "truncated"],
  ["newton", "truncated"],
  ["auto", "through-time"],
])("solver %s trains, by default with adjoint %s", async (solver, adjoint) => {
  const run = join(folder, `by-${solver}`);
  expect((await banach(["train", ...tiny, "--steps", "1", "--solver", solver, "--out", run])).code).toBe(0);
  const { model } = JSON.parse(await readFile(join(run, "config.json"), "utf8"));
  expect(model).toMatchObject({ solver: { kind: solver, tol: 0.03, maxSteps: 40 }, adjoint: { kind: adjoint } });
});

test("a run of solver chunked is evaluated in its pieces, in others, or by another solver", async () => {
  const run = join(folder, "by-chunked");
  const train = ["train", ...tiny, "--steps", "1", "--solver", "chunked", "--chunk", "2", "--out", run];
  expect((await banach(train)).code).toBe(0);
  const evaluated = async (...flags: string[]): Promise<unknown> => {
    const { stdout } = await banach(["eval", run, ...flags, "--lengths", "3", "--batch", "4", "--json"]);
    return jsonLines(stdout)[0]!["variant"];
  };
  expect(await evaluated("--tol", "0.1")).toBe("chunked(2) tol 0.1, up to 400 iterations");
  expect(await evaluated("--chunk", "3", "--max-steps", "9")).toBe("chunked(3) tol 0.03, up to 9 iterations");
  expect(await evaluated("--solver", "anderson")).toBe("anderson tol 0.03, up to 400 iterations");
  const { code, stderr } = await banach(["eval", run, "--solver", "newton", "--chunk", "2"]);
  expect(stderr).toContain("--chunk 2 is for --solver chunked; newton does not cut sequences");
  expect(code).toBe(2);
});

test("with --json there is nothing but JSON lines on stdout, and metrics.jsonl has the same steps", async () => {
  const run = join(folder, "json");
  const { code, stdout } = await banach(["train", ...tiny, "--out", run, "--json"]);
  expect(code).toBe(0);
  const lines = jsonLines(stdout);
  expect(lines.map(({ type }) => type)).toEqual([
    "run",
    "step",
    "step",
    "step",
    "stop",
    ...Array(4).fill("evaluation"),
  ]);
  expect(jsonLines(await readFile(join(run, "metrics.jsonl"), "utf8"))).toEqual(lines.slice(1));
});

test("resumed training gives the numbers of training in one go, checkpoint and all", { timeout: 30_000 }, async () => {
  const [whole, parts] = [join(folder, "whole"), join(folder, "parts")];
  await banach(["train", ...tiny, "--steps", "6", "--out", whole]);
  await banach(["train", ...tiny, "--steps", "2", "--out", parts]);
  await banach(["train", "--resume", parts, "--steps", "6"]);
  const checkpoint = (path: string): Promise<Buffer> => readFile(join(path, "checkpoint.safetensors"));
  expect((await checkpoint(parts)).equals(await checkpoint(whole))).toBe(true);
});

test("an interrupt finishes the step, saves and ends with 130; what is saved goes on to the same numbers", async () => {
  const [whole, cut] = [join(folder, "uncut"), join(folder, "cut")];
  await banach(["train", ...tiny, "--steps", "6", "--out", whole]);
  const { code, stderr, exits } = await banach(["train", ...tiny, "--steps", "6", "--out", cut, "--json"], {
    onWrite: (text, interrupt) => {
      if (text.includes('"step":2,')) interrupt();
    },
  });
  expect(code).toBe(130);
  expect(exits).toEqual([]);
  expect(stderr).toContain(`go on with: banach train --resume ${cut}`);
  expect((await banach(["train", "--resume", cut])).code).toBe(0);
  const params = (path: string): Promise<Buffer> => readFile(join(path, "checkpoint.safetensors"));
  expect((await params(cut)).equals(await params(whole))).toBe(true);
});

test("an interrupt of an evaluation says nothing of saving, and of the one after training neither", async () => {
  const run = join(folder, "evaluated");
  const interruptAt =
    (wanted: string) =>
    (text: string, interrupt: () => void): void => {
      if (text.includes(wanted)) interrupt();
    };
  const said = "finishing the batch at hand; Ctrl-C again ends at once";
  await banach(["train", ...tiny, "--out", run]);
  for (const args of [
    ["eval", run, "--lengths", "3", "--batch", "4"],
    ["train", "--resume", run],
  ]) {
    const { code, stderr } = await banach(args, { onWrite: interruptAt("evaluating 1/8") });
    expect([code, stderr]).toEqual([130, expect.stringContaining(said)]);
    expect(stderr).not.toContain("then saving");
  }
});

test("a second interrupt ends at once; one that comes within an instant is the same one", async () => {
  let interrupts = 0;
  const { exits } = await banach(["train", ...tiny, "--steps", "2", "--out", join(folder, "twice"), "--json"], {
    onWrite: (text, interrupt) => {
      if (!text.includes('"type":"step"')) return;
      interrupt();
      interrupt();
      interrupts++;
      const until = performance.now() + 350;
      while (performance.now() < until);
      interrupt();
    },
  });
  expect(interrupts).toBe(1);
  expect(exits).toEqual([130]);
});

test.each([[[]], [["--length-schedule", "curriculum"]], [["--length-schedule", "fixed"]]])(
  "length 1 works with %j",
  async (args) => {
    const run = join(folder, `one${args.at(-1) ?? ""}`);
    const { code, stderr } = await banach(["train", ...tiny, "--length", "1", ...args, "--out", run]);
    expect([code, stderr]).toEqual([0, expect.stringContaining("all 3 steps made")]);
  },
);

test("a target that is missed ends with 1", async () => {
  const { code, stderr } = await banach(["train", ...tiny, "--target", "1", "--out", join(folder, "missed")]);
  expect(code).toBe(1);
  expect(stderr).toContain("missed the target");
});

describe("what comes with --resume", () => {
  const made = async (name: string, ...args: readonly string[]): Promise<string> => {
    const run = join(folder, name);
    await banach(["train", ...tiny, ...args, "--out", run]);
    return run;
  };
  const config = async (run: string): Promise<Record<string, unknown>> =>
    JSON.parse(await readFile(join(run, "config.json"), "utf8")) as Record<string, unknown>;

  test("fewer steps than were made are refused, and change nothing", async () => {
    const run = await made("fewer");
    const before = await config(run);
    const { code, stderr } = await banach(["train", "--resume", run, "--steps", "2"]);
    expect([code, stderr]).toEqual([2, expect.stringContaining("has made 3 already; give 3 or more")]);
    expect(await config(run)).toEqual(before);
    expect((await banach(["train", "--resume", run, "--steps", "3"])).code).toBe(0);
  });

  test("of a target, what is not given is as it was", async () => {
    const run = await made("target", "--target", "1", "--target-batches", "5");
    const resumed = async (...args: readonly string[]): Promise<unknown> => {
      await banach(["train", "--resume", run, ...args]);
      return (await config(run))["target"];
    };
    expect(await resumed()).toEqual({ accuracy: 1, batches: 5 });
    expect(await resumed("--target", "0.9")).toEqual({ accuracy: 0.9, batches: 5 });
    expect(await resumed("--target-batches", "7")).toEqual({ accuracy: 0.9, batches: 7 });
  });

  test("a number of batches without a target is refused", async () => {
    const run = await made("aimless");
    for (const args of [
      ["--resume", run],
      ["--out", join(folder, "never")],
    ]) {
      const { code, stderr } = await banach(["train", ...args, "--target-batches", "7"]);
      expect([code, stderr]).toEqual([2, expect.stringContaining("--target-batches 7 means nothing without a target")]);
    }
    expect((await config(run))["target"]).toBeNull();
  });
});

test("a run folder that was damaged is refused with the reason", async () => {
  const run = join(folder, "damaged");
  await banach(["train", ...tiny, "--out", run]);
  const path = join(run, "checkpoint.safetensors");
  await writeFile(path, (await readFile(path)).subarray(0, 1000));
  for (const args of [
    ["eval", run],
    ["train", "--resume", run, "--steps", "9"],
  ]) {
    const { code, stderr } = await banach(args);
    expect(code).toBe(2);
    expect(stderr).toContain(`${run}: safetensors: header-beyond-file`);
  }
  await rm(path);
  expect((await banach(["eval", run])).stderr).toContain("its making was cut short");
});

test("a folder that cannot be made ends with 3", async () => {
  await writeFile(join(folder, "file"), "");
  const { code, stderr } = await banach(["train", ...tiny, "--out", join(folder, "file", "run")]);
  expect([code, stderr]).toEqual([3, expect.stringContaining("ENOTDIR")]);
});

test("colours and the bar only on a terminal, and no colours with NO_COLOR", async () => {
  const run = (name: string, env: Record<string, string>): ReturnType<typeof banach> =>
    banach(["train", ...tiny, "--out", join(folder, name)], { isTTY: true, env });
  expect((await run("colour", {})).stderr).toContain("\u001B[36m");
  const plain = await run("plain", { NO_COLOR: "1" });
  expect(plain.code).toBe(0);
  expect(plain.stderr).not.toMatch(/\u001B\[\d+m/);
});
