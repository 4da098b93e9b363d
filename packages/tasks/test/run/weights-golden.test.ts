/* eslint-disable import-x/no-relative-packages -- fixtures and what reads them are among the tests of fprnn, which it does not export */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { CheckpointError } from "@banach/autograd";
import { reference } from "@banach/autograd/reference";
import { afterAll, describe, expect, test } from "vitest";
import { compare, type Fixture, type Tensors } from "../../../fprnn/test/golden-kinds/fixture.ts";
import { readSafetensors } from "../../src/run/read-safetensors.ts";
import { NAMINGS } from "../../src/run/weight-names.ts";
import { readWeights, writeWeights } from "../../src/run/weights.ts";
import { type GoldenModel, goldenModel } from "./golden-models.ts";

const folder = process.env["BANACH_GOLDEN"] ?? fileURLToPath(new URL("../../../fprnn/test/golden/", import.meta.url));
const device = await reference();
afterAll(() => device[Symbol.asyncDispose]());

const fixtures: readonly (readonly [string, Fixture])[] = readdirSync(folder)
  .filter((name) => name.endsWith(".json"))
  .map((name) => [name, JSON.parse(readFileSync(join(folder, name), "utf8")) as Fixture]);

const modelsIn = (dtype: "float32" | "float64"): readonly (readonly [string, GoldenModel])[] =>
  fixtures.flatMap(([name, fixture]) => {
    const model = goldenModel(device, fixture, dtype);
    return model === null ? [] : [[name, model] as const];
  });

/** A float64 file of named tensors, as another program would write it: in the order in which they come. */
function fileOf(tensors: Tensors, rename: (name: string) => string = (name) => name): Uint8Array {
  let end = 0;
  const fields = Object.entries(tensors).map(([name, { shape, data }]) => {
    const begin = end;
    end += 8 * data.length;
    return [rename(name), { shape, dtype: "F64", data_offsets: [begin, end] }];
  });
  const header = new TextEncoder().encode(JSON.stringify(Object.fromEntries(fields)));
  const file = Buffer.alloc(8 + header.length + end);
  file.writeBigUInt64LE(BigInt(header.length));
  file.set(header, 8);
  Object.values(tensors)
    .flatMap(({ data }) => data)
    .forEach((value, i) => file.writeDoubleLE(value, 8 + header.length + 8 * i));
  return file;
}

/** As the authors' PyTorch code has them. */
function inPyTorch(name: string): string {
  return name
    .replace(/^(embedding|norm_f)\./, "backbone.$1.")
    .replace(/^norms\.(\d+)\./, "backbone.layers.$1.norm.")
    .replace(/^blocks\.(\d+)\./, "backbone.layers.$1.mixer.")
    .replace(/\.v$/, ".parametrizations.weight.original1")
    .replace(/\.g$/, ".parametrizations.weight.original0");
}

describe.each(modelsIn("float64"))("%s", (_, { params, expected, init, run }) => {
  test.each([
    ["the fixture's", (name: string) => name],
    ["PyTorch's", inPyTorch],
  ])("under %s names the parameters load, and give the output", async (_names, rename) => {
    const loaded = readWeights(fileOf(params, rename), init());
    const { error } = compare("output", await run(loaded), expected);
    expect(error).toBeLessThan(1e-9);
  });

  test("a file that is written has exactly the names and shapes, and after loading the numbers", () => {
    const shapes = (tensors: Iterable<readonly [string, { readonly shape: readonly number[] }]>): unknown =>
      Object.fromEntries([...tensors].map(([name, { shape }]) => [name, shape]));
    const drawn = readSafetensors(writeWeights(init()));
    expect(shapes(drawn.tensors)).toEqual(shapes(Object.entries(params)));
    for (const naming of NAMINGS) {
      const written = writeWeights(readWeights(fileOf(params), init()), { naming });
      const back = readSafetensors(writeWeights(readWeights(written, init()))).tensors;
      for (const [name, { data }] of Object.entries(params)) expect(Array.from(back.get(name)!.data)).toEqual(data);
    }
  });

  test("a name less, a name more and a transposed matrix are refused", () => {
    const [first, ...rest] = Object.entries(params);
    expect(() => readWeights(fileOf(Object.fromEntries(rest)), init())).toThrow(`missing: '${first![0]}' float64`);
    const more = { ...params, "mixer.w_proj.v": { shape: [1], data: [0] } };
    expect(() => readWeights(fileOf(more), init())).toThrow("not in the model: 'mixer.w_proj.v' float64[1]");
    const [name, { shape, data }] = Object.entries(params).find(
      ([, p]) => p.shape.join() !== p.shape.toReversed().join(),
    )!;
    const transposed = { ...params, [name]: { shape: shape.toReversed(), data } };
    expect(() => readWeights(fileOf(transposed), init())).toThrow(`of another shape or type: '${name}' float64`);
  });
});

test.each(modelsIn("float32"))("%s is rounded to float32 only where that is asked for", (_, { params, init }) => {
  expect(() => readWeights(fileOf(params), init())).toThrow(CheckpointError);
  expect(() => readWeights(fileOf(params), init())).toThrow("rounding was not asked for");
  const rounded = readSafetensors(writeWeights(readWeights(fileOf(params), init(), { round: true }))).tensors;
  for (const [name, { data }] of Object.entries(params)) {
    expect(rounded.get(name)!.data).toEqual(Float32Array.from(data));
  }
});
