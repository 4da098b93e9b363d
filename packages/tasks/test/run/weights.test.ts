import { array, CheckpointError, flatten, type HostTensor, key, treeLeaves } from "@banach/autograd";
import {
  dense,
  dplr,
  fpMamba,
  fpMamba2,
  fpRnn,
  householder,
  kronecker,
  languageModel,
  type Layer,
  mamba,
  type Mixer,
  mixture,
  monarch,
  orthogonal,
} from "@banach/fprnn";
import { describe, expect, test } from "vitest";
import { readSafetensors } from "../../src/run/read-safetensors.ts";
import { writeSafetensors } from "../../src/run/safetensors.ts";
import { NAMINGS } from "../../src/run/weight-names.ts";
import { readWeights, type ReadWeightsOptions, writeWeights } from "../../src/run/weights.ts";

const sizes = { dModel: 4, expand: 2 } as const;
const state = { ...sizes, dState: 3 } as const;

const MIXERS: readonly Mixer[] = [
  householder({ rank: 2 }),
  householder({ rank: 2, projectionRank: 3 }),
  dplr({ rank: 2 }),
  kronecker({}),
  monarch({}),
  dense({}),
  orthogonal({}),
  mixture({ experts: [householder({ rank: 1 }), kronecker({})] }),
];

const LAYERS: readonly (readonly [string, Layer])[] = [true, false].flatMap((shortConv) => [
  ...MIXERS.map((mixer) => [`fp-rnn, ${mixer.name}`, fpRnn({ ...sizes, mixer, shortConv })] as const),
  ...MIXERS.map((mixer) => [`fp-mamba, ${mixer.name}`, fpMamba({ ...state, mixer, shortConv })] as const),
  ...MIXERS.map((mixer) => [`fp-mamba-2, ${mixer.name}`, fpMamba2({ ...state, mixer, shortConv })] as const),
  ["mamba", mamba({ ...state, shortConv })] as const,
]);

const model = (layer: Layer = LAYERS[0]![1], layers = 2): ReturnType<typeof languageModel> =>
  languageModel({ vocabulary: 8, dModel: 4, layers: Array.from({ length: layers }, () => layer) });

/** The bits of all leaves, by path. */
const bitsOf = (tree: unknown): unknown =>
  treeLeaves<HostTensor>(tree as never).map(({ path, leaf }) => [
    path,
    leaf.type,
    Buffer.from(leaf.data.buffer, leaf.data.byteOffset, leaf.data.byteLength).toString("hex"),
  ]);

/** The file with other tensors. */
function rewritten(
  file: Uint8Array,
  change: (tensors: readonly (readonly [string, HostTensor])[]) => readonly (readonly [string, HostTensor])[],
): Uint8Array {
  return writeSafetensors({ tensors: new Map(change([...readSafetensors(file).tensors])), metadata: new Map() });
}

const refusal = (file: Uint8Array, like: unknown, options?: ReadWeightsOptions): string => {
  try {
    readWeights(file, like, options);
  } catch (error) {
    expect(error).toBeInstanceOf(CheckpointError);
    return String(error);
  }
  throw new Error("nothing was refused");
};

describe.each(NAMINGS)("names %s", (naming) => {
  test.each(LAYERS)("%s (%#) comes back with the same bits, alone and in a model", (_, layer) => {
    const file = writeWeights(layer.init(key(1)), { naming });
    expect(bitsOf(readWeights(file, layer.init(key(2))))).toEqual(bitsOf(layer.init(key(1))));
    const whole = model(layer);
    const two = writeWeights(whole.init(key(3)), { naming });
    expect(bitsOf(readWeights(two, whole.init(key(4))))).toEqual(bitsOf(whole.init(key(3))));
  });

  test("a mixer alone comes back with the same bits", () => {
    for (const mixer of MIXERS) {
      const init = (seed: number): unknown => mixer.init(key(seed), { channels: 8, argument: 16 });
      expect(bitsOf(readWeights(writeWeights(init(1), { naming }), init(2)))).toEqual(bitsOf(init(1)));
    }
  });
});

test("the tree that is read has the structure and none of the data of the one that it is like", () => {
  const like = model().init(key(1));
  const before = bitsOf(like);
  const read = readWeights(writeWeights(model().init(key(2))), like);
  expect(flatten(read).def).toEqual(flatten(like).def);
  expect(bitsOf(like)).toEqual(before);
  expect(bitsOf(read)).not.toEqual(before);
});

describe("the names of PyTorch models", () => {
  const namesOf = (layer: Layer): readonly string[] =>
    [...readSafetensors(writeWeights(model(layer, 1).init(key(0)), { naming: "mamba-ssm" })).tensors.keys()].sort();
  const wrapper = [
    "backbone.embedding.weight",
    "backbone.layers.0.norm.weight",
    "backbone.norm_f.weight",
    "lm_head.weight",
  ];
  const inLayer = (names: readonly string[]): readonly string[] =>
    [...wrapper, ...names.map((name) => `backbone.layers.0.mixer.${name}`)].sort();
  const projected = (name: string): readonly string[] =>
    [0, 1].map((i) => `${name}.parametrizations.weight.original${i}`);
  const reflections = ["alpha_proj.bias", ...projected("alpha_proj"), ...projected("u_proj")];
  const mambas = ["A_log", "D", "in_proj.weight", "out_proj.weight"];
  const selective = [...mambas, "dt_proj.bias", "dt_proj.weight", "x_proj.weight"];
  const hidden = [...projected("bc_y_proj"), ...projected("z_y_proj")];
  const mixer = householder({ rank: 2 });

  test("mamba has those of mamba_ssm", () => {
    expect(namesOf(mamba({ ...state, shortConv: true }))).toEqual(
      inLayer([...selective, "conv1d.bias", "conv1d.weight"]),
    );
  });

  test("fp-rnn has those of the authors, whose mixer is compiled", () => {
    expect(namesOf(fpRnn({ ...sizes, mixer }))).toEqual(
      inLayer([
        ...["b_proj", "c_proj", "input_trans", "lambda_proj", "output_norm", "output_trans"].map((n) => `${n}.weight`),
        "lambda_proj.bias",
        ...reflections.map((name) => `mixer._orig_mod.${name}`),
      ]),
    );
  });

  test("fp-mamba has those of the authors", () => {
    expect(namesOf(fpMamba({ ...state, mixer }))).toEqual(
      inLayer([...selective, ...hidden, "out_norm.bias", "out_norm.weight", ...reflections.map((n) => `mixer.${n}`)]),
    );
  });

  test("fp-mamba-2 has those of the authors, whose layer has a norm of the same name as the wrapper's", () => {
    expect(namesOf(fpMamba2({ ...state, mixer }))).toEqual(
      inLayer([...mambas, "dt_bias", "norm.weight", ...hidden, ...reflections.map((n) => `mixer.${n}`)]),
    );
  });

  test("a map that is not normalised keeps its name", () => {
    expect(namesOf(fpMamba({ ...state, mixer: orthogonal({}) }))).toContain("backbone.layers.0.mixer.mixer.v");
  });

  test("the older names of normalised maps, and what a compiled model is called, are read too", () => {
    const params = model().init(key(1));
    const old = rewritten(writeWeights(params), (tensors) =>
      tensors.map(([name, tensor]) => [`_orig_mod.${name.replace(/\.([vg])$/, ".weight_$1")}`, tensor]),
    );
    expect([...readSafetensors(old).tensors.keys()]).toContain("_orig_mod.blocks.0.mixer.u_proj.weight_v");
    expect(bitsOf(readWeights(old, model().init(key(2))))).toEqual(bitsOf(params));
  });

  test("any other names are read by a function", () => {
    const params = model().init(key(1));
    const prefixed = rewritten(writeWeights(params, { naming: "mamba-ssm" }), (tensors) =>
      tensors.map(([name, tensor]) => [`module.${name}`, tensor]),
    );
    expect(refusal(prefixed, model().init(key(2)))).toContain("'module.backbone.embedding.weight' float32[8,4]");
    const rename = (name: string): string => name.replace(/^module\./, "");
    expect(bitsOf(readWeights(prefixed, model().init(key(2)), { rename }))).toEqual(bitsOf(params));
  });

  test("the head may be absent, and has to be the embedding bit for bit", () => {
    const params = model().init(key(1));
    const file = writeWeights(params, { naming: "mamba-ssm" });
    const headless = rewritten(file, (tensors) => tensors.filter(([name]) => name !== "lm_head.weight"));
    expect(bitsOf(readWeights(headless, model().init(key(2))))).toEqual(bitsOf(params));
    const withHead = (data: (embedding: HostTensor) => HostTensor): Uint8Array =>
      rewritten(file, (tensors) => tensors.map(([n, t]) => [n, n === "lm_head.weight" ? data(t) : t]));
    const changed = withHead(({ shape, data }) => {
      const values = Float32Array.from(data);
      values[31] = Math.fround(values[31]! * (1 + 2 ** -23));
      return array(values, { shape });
    });
    expect(refusal(changed, params)).toContain("a head that is not the embedding: 'lm_head.weight'");
    const double = withHead(({ shape, data }) => array(Float64Array.from(data), { shape, dtype: "float64" }));
    expect(refusal(double, params)).toContain("a head that is not the embedding");
    expect(refusal(file, model().init(key(2)), { rename: (n) => n.replace("backbone.emb", "other.emb") })).toContain(
      "a head that is not the embedding: 'lm_head.weight'\n  missing: 'embedding.weight' float32[8,4]",
    );
  });
});

describe("what does not fit", () => {
  const params = model().init(key(1));
  const file = writeWeights(params);

  test("is listed, all of it, with what the model has", () => {
    const other = rewritten(file, (tensors) => [
      ...tensors
        .filter(([name]) => name !== "norm_f.weight" && name !== "norms.1.weight")
        .map(
          ([name, t]) =>
            [name, name === "embedding.weight" ? array(new Float32Array(36), { shape: [9, 4] }) : t] as const,
        ),
      ["blocks.0.lambda_proj.weigth", array([1])],
      ["__proto__", array([[1, 2]])],
    ]);
    const message = refusal(other, params);
    expect(message).toContain("CheckpointError: weights: the file does not fit the model:");
    expect(message).toMatch(/not in the model: '(.*)' float32\[1(,2)?\], '(.*)' float32\[1(,2)?\]\n/);
    for (const name of ["blocks.0.lambda_proj.weigth", "__proto__"]) expect(message).toContain(`'${name}' float32`);
    expect(message).toContain("missing: 'norm_f.weight' float32[4], 'norms.1.weight' float32[4]\n");
    expect(message).toContain(
      "of another shape or type: 'embedding.weight' float32[9,4], the model has float32[8,4]\n",
    );
    const last = message.split("\n").at(-1);
    expect(last).toContain("the model has: 'blocks.0.b_proj.weight' float32[8,8], ");
    expect(last?.split(", '")).toHaveLength(treeLeaves(params as never).length);
  });

  test("is refused under two names of one parameter", () => {
    const twice = rewritten(file, (tensors) => [...tensors, ["backbone.norm_f.weight", array([1, 1, 1, 1])]]);
    expect(refusal(twice, params)).toMatch(
      /in the file twice: ('norm_f.weight' and 'backbone.norm_f.weight'|'backbone.norm_f.weight' and 'norm_f.weight')/,
    );
  });

  test("is refused if it is of another kind of number", () => {
    const counted = rewritten(file, (tensors) =>
      tensors.map(([n, t]) => [n, n === "norm_f.weight" ? array([1, 1, 1, 1], { dtype: "int32" }) : t]),
    );
    expect(refusal(counted, params)).toContain("'norm_f.weight' int32[4], the model has float32[4]");
  });

  test("is shown in part if it is without end", () => {
    const tensors = new Map(Array.from({ length: 5000 }, (_, i) => [`x${i}`, array([1])] as const));
    const message = refusal(writeSafetensors({ tensors, metadata: new Map() }), params);
    expect(message).toContain("and 4800 more\n");
    expect(message.length).toBeLessThan(20_000);
  });

  test("is refused if it is the checkpoint of a run, or no file of the format", () => {
    const metadata = new Map([["format", "banach-checkpoint"]]);
    expect(refusal(writeSafetensors({ tensors: new Map(), metadata }), params)).toContain("banach export writes");
    for (let length = 0; length < file.length; length += 41) {
      expect(refusal(file.subarray(0, length), params)).toMatch(/^CheckpointError: safetensors: [a-z-]+: /);
    }
  });
});

test("a flipped bit is refused, or read as other numbers of the same model, and changes nothing that is there", () => {
  const small = languageModel({ vocabulary: 2, dModel: 2, layers: [] });
  const like = small.init(key(1));
  const before = bitsOf(like);
  const shapes = treeLeaves<HostTensor>(like as never).map(({ path, leaf }) => [path, leaf.type]);
  const file = writeWeights(small.init(key(2)), { naming: "mamba-ssm" });
  let refused = 0;
  for (let bit = 0; bit < 8 * file.length; bit++) {
    const damaged = file.slice();
    damaged[bit >> 3]! ^= 1 << (bit & 7);
    try {
      const read = readWeights(damaged, like);
      expect(treeLeaves<HostTensor>(read as never).map(({ path, leaf }) => [path, leaf.type])).toEqual(shapes);
    } catch (error) {
      refused++;
      expect(error, `bit ${bit}`).toBeInstanceOf(CheckpointError);
    }
  }
  expect(refused).toBeGreaterThan(1000);
  expect(bitsOf(like)).toEqual(before);
});

describe("element types", () => {
  const like = { w: array([0, 0, 0]) };
  const like64 = { w: array([0, 0, 0], { dtype: "float64" }) };
  const doubles = (...values: readonly number[]): Uint8Array =>
    writeWeights({ w: array(values, { dtype: "float64" }) });
  const half = (format: string, ...bits: readonly number[]): Uint8Array => {
    const header = new TextEncoder().encode(
      JSON.stringify({ w: { dtype: format, shape: [bits.length], data_offsets: [0, 2 * bits.length] } }),
    );
    const bytes = new Uint8Array(8 + header.length + 2 * bits.length);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(header.length), true);
    bytes.set(header, 8);
    bytes.set(new Uint8Array(Uint16Array.from(bits).buffer), 8 + header.length);
    return bytes;
  };

  test("float64 is read as float32 where nothing is lost", () => {
    expect(readWeights(doubles(1.5, -0, Infinity), like).w.data).toEqual(Float32Array.of(1.5, -0, Infinity));
    expect(readWeights(doubles(NaN, 2 ** -149, 2 ** 127), like).w.data).toEqual(
      Float32Array.of(NaN, 2 ** -149, 2 ** 127),
    );
  });

  test("what would be lost is refused, or rounded if that is asked for", () => {
    const file = doubles(0.1, 0.5, 2 ** -150);
    expect(refusal(file, like)).toContain("no numbers of float32, and rounding was not asked for: 2 of 3 in 'w'");
    expect(readWeights(file, like, { round: true }).w.data).toEqual(Float32Array.of(0.1, 0.5, 0));
  });

  test("what is too large is refused in any case", () => {
    for (const round of [false, true]) {
      expect(refusal(doubles(1, 1e39, -1e300), like, { round })).toContain("too large for float32: 2 of 3 in 'w'");
    }
  });

  test("float32 is read as float64, and float64 as it is", () => {
    const file = writeWeights({ w: array([0.1, -0, 3]) });
    expect(readWeights(file, like64).w.data).toEqual(Float64Array.of(Math.fround(0.1), -0, 3));
    expect(readWeights(doubles(0.1, 0.2, 1e300), like64).w.data).toEqual(Float64Array.of(0.1, 0.2, 1e300));
  });

  test("float16 and bfloat16 are read exactly", () => {
    expect(readWeights(half("F16", 0x3c00, 0x8001, 0x7bff), like).w.data).toEqual(
      Float32Array.of(1, -(2 ** -24), 65504),
    );
    expect(readWeights(half("BF16", 0x3f80, 0x8000, 0x4049), like64).w.data).toEqual(Float64Array.of(1, -0, 3.140625));
  });
});
