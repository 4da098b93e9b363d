import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { banach, jsonLines, tiny } from "./world.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "banach-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** The model in the config.json of a run of one step. */
async function modelOf(name: string, ...flags: readonly string[]): Promise<Record<string, unknown>> {
  const run = join(folder, name);
  const { code, stdout, stderr } = await banach(["train", ...tiny, "--steps", "1", ...flags, "--out", run, "--json"]);
  expect([code, stderr]).toEqual([0, expect.not.stringContaining("skipped (")]);
  expect(jsonLines(stdout).find(({ type }) => type === "step")).toMatchObject({ skipped: false });
  const { model } = JSON.parse(await readFile(join(run, "config.json"), "utf8")) as { model: Record<string, unknown> };
  return model;
}

test.each([
  [{ kind: "householder", rank: 2, gain: 1 }, []],
  [{ kind: "dplr", rank: 3, gain: 2, projectionRank: 1 }, ["--rank", "3", "--gain", "2", "--projection-rank", "1"]],
  [{ kind: "kronecker", normalisation: "certified", gain: 1 }, []],
  [
    { kind: "kronecker", normalisation: "spectral", factors: [4, 1], gain: 1 },
    ["--normalisation", "spectral", "--factors", "4,1"],
  ],
  [{ kind: "monarch", factors: [1, 4], gain: 1 }, ["--factors", "1,4"]],
  [{ kind: "dense", gain: 1 }, []],
  [{ kind: "orthogonal", reflections: 3, gain: 1 }, ["--reflections", "3"]],
  [
    {
      kind: "mixture",
      experts: [
        { kind: "householder", rank: 1, gain: 1 },
        { kind: "orthogonal", gain: 1 },
      ],
    },
    ["--experts", "householder,orthogonal", "--rank", "1"],
  ],
])("a mixer trains, and config.json says all of it: %j", async (mixer, flags) => {
  const name = `mixer-${mixer.kind}-${flags.length}`;
  expect(await modelOf(name, "--mixer", mixer.kind, ...flags)).toMatchObject({ mixer });
});

test.each([
  ["sequential", { kind: "through-time" }, []],
  ["auto", { kind: "through-time-implicit" }, []],
  ["picard", { kind: "truncated", steps: 1 }, []],
  ["sequential", { kind: "truncated", steps: 3 }, ["--adjoint-steps", "3"]],
  ["anderson", { kind: "neumann", steps: 4 }, ["--adjoint-steps", "4"]],
  ["sequential", { kind: "implicit" }, []],
  ["picard", { kind: "unrolled", steps: 5 }, ["--adjoint-steps", "5"]],
])("with solver %s an adjoint trains, and config.json says all of it: %j", async (solver, adjoint, flags) => {
  const name = `adjoint-${solver}-${adjoint.kind}`;
  expect(await modelOf(name, "--solver", solver, "--adjoint", adjoint.kind, ...flags)).toMatchObject({ adjoint });
});

test("a run by unrolled sweeps is evaluated as it was trained, and by its solver", async () => {
  const run = join(folder, "unrolled");
  const flags = ["--adjoint", "unrolled", "--adjoint-steps", "4", "--steps", "1"];
  expect((await banach(["train", ...tiny, ...flags, "--out", run])).code).toBe(0);
  const { stdout } = await banach(["eval", run, "--lengths", "3", "--batch", "4", "--json"]);
  expect(jsonLines(stdout)).toMatchObject([
    { variant: "unrolled 4 sweeps", solver: "unrolled", iterations: 4 },
    { label: "tol 0.003" },
    { label: "tol 0.03" },
    { label: "tol 0.003" },
  ]);
});

test.each([
  ["gamma", 1],
  ["schedule", 1 + 3 / 16],
])("random depth %s is drawn again when a run is resumed", { timeout: 30_000 }, async (name, scale) => {
  const [whole, parts] = [join(folder, `depth-${name}`), join(folder, `depth-${name}-parts`)];
  const train = ["train", ...tiny, "--random-depth", name];
  await banach([...train, "--steps", "5", "--out", whole]);
  await banach([...train, "--steps", "2", "--out", parts]);
  expect((await banach(["train", "--resume", parts, "--steps", "5"])).code).toBe(0);
  const depths = async (run: string): Promise<unknown[]> => {
    const lines = jsonLines(await readFile(join(run, "metrics.jsonl"), "utf8"));
    return lines.filter(({ type }) => type === "step").map(({ depth }) => depth);
  };
  expect(new Set(await depths(whole)).size).toBeGreaterThan(1);
  expect(await depths(parts)).toEqual(await depths(whole));
  const checkpoint = (path: string): Promise<Buffer> => readFile(join(path, "checkpoint.safetensors"));
  expect((await checkpoint(parts)).equals(await checkpoint(whole))).toBe(true);
  const config = JSON.parse(await readFile(join(parts, "config.json"), "utf8")) as { depth: unknown };
  expect(config.depth).toEqual({ shape: 4, scale });
});

describe.each([
  ["fp-mamba", {}, []],
  ["fp-mamba-2", { headDim: 2 }, ["--head-dim", "2"]],
] as const)("--layer %s", (kind, own, flags) => {
  const sizes = ["--layer", kind, "--state", "2", ...flags, "--rank", "2", "--gain", "2"];
  const mamba = ["train", ...tiny, ...sizes, "--length-schedule", "curriculum"];

  test("trains, resumes bit for bit and is evaluated", { timeout: 30_000 }, async () => {
    const [whole, parts] = [join(folder, kind), join(folder, `${kind}-parts`)];
    const trained = await banach([...mamba, "--steps", "2", "--out", whole, "--json"]);
    expect(trained.code).toBe(0);
    const model = { kind, ...own, dState: 2, dModel: 4, mixer: { rank: 2, gain: 2 } };
    const [first, ...lines] = jsonLines(trained.stdout);
    expect(first).toMatchObject({ type: "run", config: { model, lengths: { kind: "curriculum", from: 2, to: 3 } } });
    const steps = lines.filter(({ type }) => type === "step");
    expect(steps).toMatchObject([{ skipped: false }, { skipped: false }]);

    await banach([...mamba, "--steps", "1", "--out", parts]);
    expect((await banach(["train", "--resume", parts, "--steps", "2"])).code).toBe(0);
    const checkpoint = (path: string): Promise<Buffer> => readFile(join(path, "checkpoint.safetensors"));
    expect((await checkpoint(parts)).equals(await checkpoint(whole))).toBe(true);

    const evaluated = await banach(["eval", parts, "--lengths", "3", "--batch", "4", "--solver", "picard", "--json"]);
    expect(jsonLines(evaluated.stdout)).toMatchObject([{ variant: "picard tol 0.03, up to 400 iterations" }]);
  });

  test("sequences that do not converge are counted, warned of and shown", { timeout: 30_000 }, async () => {
    const run = join(folder, `${kind}-apart`);
    const { code, stdout, stderr } = await banach([...mamba, "--tol", "0", "--max-steps", "2", "--out", run]);
    expect(code).toBe(0);
    expect(stderr).toContain("warning: step 1: the solver left 4 sequences above its tolerance (4 so far)");
    expect(stderr).toContain("sequences not converged 12");
    expect(stdout).toMatch(/converged\n.* 0\.0 %/);
  });
});

test("--layer mamba trains, resumes bit for bit and is evaluated, without a solver", { timeout: 30_000 }, async () => {
  const mamba = ["train", ...tiny, "--layer", "mamba", "--state", "2", "--layers", "2"];
  const [whole, parts] = [join(folder, "plain-mamba"), join(folder, "plain-mamba-parts")];
  const trained = await banach([...mamba, "--steps", "2", "--out", whole, "--json"]);
  expect(trained.code).toBe(0);
  const [first, ...lines] = jsonLines(trained.stdout);
  const model = { kind: "mamba", dState: 2, dModel: 4, expand: 1, layers: 2 };
  expect((first as { config: { model: unknown } }).config.model).toEqual(model);
  const steps = lines.filter(({ type }) => type === "step");
  expect(steps).toMatchObject([
    { skipped: false, iterations: 0, notConverged: 0 },
    { skipped: false, iterations: 0, notConverged: 0 },
  ]);

  await banach([...mamba, "--steps", "1", "--out", parts]);
  expect((await banach(["train", "--resume", parts, "--steps", "2"])).code).toBe(0);
  const checkpoint = (path: string): Promise<Buffer> => readFile(join(path, "checkpoint.safetensors"));
  expect((await checkpoint(parts)).equals(await checkpoint(whole))).toBe(true);

  const evaluated = await banach(["eval", parts, "--lengths", "3,6", "--batch", "4", "--json"]);
  expect(jsonLines(evaluated.stdout)).toMatchObject([
    { length: 3, variant: "no solver", iterations: 0, converged: 1 },
    { length: 6, variant: "no solver", iterations: 0, converged: 1 },
  ]);
  const refused = await banach(["eval", parts, "--solver", "picard", "--max-steps", "9"]);
  expect(refused.code).toBe(2);
  expect(refused.stderr).toContain("--solver picard, --max-steps 9: layer mamba is no fixed point, and has no solver");
});
