import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { array, type HostTensor } from "@banach/autograd";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RunConfig, readSafetensors, writeSafetensors } from "../../src/run/index.ts";
import { banach, jsonLines } from "./world.ts";

/** Small enough for tests: a few steps take well under a second. */
const shape = ["--d-model", "4", "--expand", "1", "--length", "3", "--backend", "reference"];
const tiny = [...shape, "--batch", "4", "--steps", "2"];

let folder: string;
let run: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "banach-"));
  run = join(folder, "run");
  expect((await banach(["train", ...tiny, "--out", run])).code).toBe(0);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const at = (name: string): string => join(folder, name);
const tensorsOf = async (path: string): Promise<ReadonlyMap<string, HostTensor>> =>
  readSafetensors(await readFile(path)).tensors;
const configOf = async (path: string): Promise<RunConfig> =>
  JSON.parse(await readFile(join(path, "config.json"), "utf8")) as RunConfig;
const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

/** The parameters in a run's checkpoint, with what is not one. */
async function checkpointOf(path: string): Promise<ReadonlyMap<string, HostTensor>> {
  return tensorsOf(join(path, "checkpoint.safetensors"));
}

describe("banach export", () => {
  test("writes the parameters of the checkpoint and nothing else", async () => {
    const file = at("new/plain.safetensors");
    const { code, stdout } = await banach(["export", run, file]);
    expect([code, stdout]).toEqual([0, `${file}: the weights of ${run} after step 2, names plain\n`]);
    const written = await tensorsOf(file);
    const params = [...(await checkpointOf(run))].filter(([name]) => name.startsWith("params."));
    expect([...written.keys()].sort()).toEqual(params.map(([name]) => name.replace("params.", "")).sort());
    for (const [name, tensor] of params) expect(written.get(name.replace("params.", ""))).toEqual(tensor);
    expect((await readdir(at("new"))).sort()).toEqual(["plain.safetensors"]);
  });

  test("writes the names of PyTorch models, and says what it did as JSON", async () => {
    const file = at("pytorch.safetensors");
    const { stdout } = await banach(["export", run, file, "--names", "mamba-ssm", "--json"]);
    expect(jsonLines(stdout)).toEqual([{ type: "export", folder: run, step: 2, file, names: "mamba-ssm" }]);
    const written = await tensorsOf(file);
    expect(written.get("lm_head.weight")).toEqual(written.get("backbone.embedding.weight"));
    expect(written.has("backbone.layers.0.mixer.lambda_proj.weight")).toBe(true);
  });

  test("replaces a file only if it is told to", async () => {
    const file = at("there.safetensors");
    await writeFile(file, "mine");
    const refused = await banach(["export", run, file]);
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining("--force to replace it")]);
    expect(await readFile(file, "utf8")).toBe("mine");
    expect((await banach(["export", run, file, "--force"])).code).toBe(0);
    expect((await tensorsOf(file)).has("embedding.weight")).toBe(true);
  });

  test("never touches the run, nor a folder", async () => {
    const checkpoint = join(run, "checkpoint.safetensors");
    const before = await readFile(checkpoint);
    const own = await banach(["export", run, join(run, "..", "run", "checkpoint.safetensors"), "--force"]);
    expect([own.code, own.stderr]).toEqual([2, expect.stringContaining("is in the run folder")]);
    expect(await readFile(checkpoint)).toEqual(before);
    const onFolder = await banach(["export", run, folder, "--force"]);
    expect([onFolder.code, onFolder.stderr]).toEqual([2, expect.stringContaining("exists and is no file")]);
  });

  test("of what is no run writes nothing", async () => {
    const { code, stderr } = await banach(["export", at("nothing"), at("never.safetensors")]);
    expect([code, stderr]).toEqual([2, expect.stringContaining("is not a run folder")]);
    expect(await isThere(at("never.safetensors"))).toBe(false);
  });
});

describe("banach train --init", () => {
  test.each(["plain", "mamba-ssm"])("starts from the weights in a file with names %s", async (names) => {
    const file = at(`${names}.safetensors`);
    await banach(["export", run, file, "--names", names]);
    const out = at(`from-${names}`);
    // One step, at a rate that changes nothing: the seed draws other weights than the file has.
    const args = ["train", ...shape, "--seed", "5", "--steps", "1", "--lr", "1e-30", "--out", out, "--init", file];
    expect((await banach([...args, "--weight-decay", "0"])).code).toBe(0);
    const [theirs, ours] = [await checkpointOf(run), await checkpointOf(out)];
    for (const [name, tensor] of ours) {
      if (name.startsWith("params.")) expect([name, tensor.data]).toEqual([name, theirs.get(name)?.data]);
    }
    expect((await configOf(out)).init).toEqual({
      file,
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
      rounded: false,
    });
    expect((await banach(["train", "--resume", out, "--steps", "2"])).code).toBe(0);
    expect((await configOf(out)).init?.file).toBe(file);
  });

  test.each([
    ["there is none", (at_) => at_("nowhere"), [], "nowhere cannot be read: it does not exist"],
    ["it is a folder", () => folder, [], "cannot be read: it is no file"],
    ["it is of another model", (at_) => at_("other.safetensors"), ["--layer", "mamba"], "missing: 'blocks.0.A_log'"],
    ["it is a checkpoint", () => join(run, "checkpoint.safetensors"), [], "this is the checkpoint of a run"],
    ["it is cut", (at_) => at_("cut.safetensors"), [], "cut.safetensors: safetensors: header-beyond-file: "],
  ] as readonly (readonly [string, (place: typeof at) => string, readonly string[], string])[])(
    "if %s nothing is written",
    async (_, place, options, message) => {
      await banach(["export", run, at("other.safetensors"), "--force"]);
      await writeFile(at("cut.safetensors"), (await readFile(at("other.safetensors"))).subarray(0, 100));
      const out = at("never");
      const { code, stderr } = await banach(["train", ...tiny, ...options, "--out", out, "--init", place(at)]);
      expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
      expect(await isThere(out)).toBe(false);
    },
  );

  test("rounds only if it is told to", async () => {
    const file = at("double.safetensors");
    await banach(["export", run, at("single.safetensors")]);
    const doubles = [...(await tensorsOf(at("single.safetensors")))].map(
      ([name, { shape: dims, data }]) =>
        [
          name,
          array(
            Float64Array.from(data, (x) => x * (1 + 2 ** -40)),
            { shape: dims, dtype: "float64" },
          ),
        ] as const,
    );
    await writeFile(file, writeSafetensors({ tensors: new Map(doubles), metadata: new Map() }));
    const args = ["train", ...tiny, "--out", at("rounded"), "--init", file];
    const refused = await banach(args);
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining("rounding was not asked for")]);
    expect((await banach([...args, "--round-weights"])).code).toBe(0);
    expect((await configOf(at("rounded"))).init?.rounded).toBe(true);
  });

  test.each([
    [["train", "--round-weights"], "--round-weights means nothing without --init"],
    [["train", "--init", ""], "Expected the path of a file"],
    [["train", "--resume", "x", "--init", "y"], "--init cannot be changed with --resume"],
    [["eval", "x", "--round-weights"], "--round-weights means nothing without --weights"],
    [["export", "x"], "missing required argument 'file'"],
    [["export", "x", "y", "--names", "jax"], "Allowed choices are plain, mamba-ssm"],
  ])("%j is refused", async (args, message) => {
    const { code, stderr } = await banach(args);
    expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
  });
});

test("banach eval --weights evaluates those of the file, and the metrics say so", async () => {
  const file = at("evaluated.safetensors");
  await banach(["export", run, file]);
  const args = ["eval", run, "--lengths", "3", "--batch", "4", "--batches", "1", "--json"];
  const [own, theirs] = [await banach(args), await banach([...args, "--weights", file])];
  expect([own.code, theirs.code]).toEqual([0, 0]);
  const rows = ({ stdout }: { readonly stdout: string }): unknown =>
    jsonLines(stdout).map(({ tokenAccuracy, variant }) => [variant, tokenAccuracy]);
  expect(rows(theirs)).toEqual(rows(own));
  const metrics = jsonLines(await readFile(join(run, "metrics.jsonl"), "utf8")).slice(-2);
  expect(metrics).toMatchObject([{ weights: file }, { weights: file }]);

  const zeros = [...(await tensorsOf(file))].map(
    ([name, { data, shape: dims }]) => [name, array(new Float32Array(data.length), { shape: dims })] as const,
  );
  await writeFile(file, writeSafetensors({ tensors: new Map(zeros), metadata: new Map() }));
  const nothing = await banach([...args, "--weights", file]);
  expect(nothing.code).toBe(0);
  expect(rows(nothing)).not.toEqual(rows(own));
});
