import { array, key, type Tracer } from "@banach/autograd";
import { reference } from "@banach/autograd/reference";
import { describe, expect, it } from "vitest";
import { fpMamba, fpRnn, householder, languageModel, mamba } from "../../src/index.ts";

const device = await reference();
const layer = fpRnn({ dModel: 4, expand: 1, mixer: householder() });
const model = languageModel({ vocabulary: 8, dModel: 4, layers: [layer, layer] });
type Params = Parameters<typeof model.apply>[0];
type State = Parameters<typeof model.step>[2];

const run = async (ids: number[][]) =>
  device.get(
    await device.run((p: Params, x: Tracer) => model.apply(p, x), model.init(key(0)), array(ids, { dtype: "int32" })),
  );

describe("languageModel", () => {
  it("gives logits per position and token, and stats and state per layer", async () => {
    const { logits, stats, state } = await run([
      [1, 2, 3],
      [4, 5, 6],
    ]);
    expect(logits.shape).toEqual([2, 3, 8]);
    expect(stats.map(({ status }) => status.shape)).toEqual([[2], [2]]);
    expect(state.map(({ y }) => y.shape)).toEqual([
      [2, 4],
      [2, 4],
    ]);
    expect(logits.data.every(Number.isFinite)).toBe(true);
  });

  it("starts with independent layers", () => {
    const [first, second] = model.init(key(0)).blocks;
    expect(first!.b_proj.weight.data).not.toEqual(second!.b_proj.weight.data);
  });

  it("divides the output maps of FP-Mamba layers by the root of their number", () => {
    const block = fpMamba({ dModel: 4, mixer: householder() });
    const bound = (count: number): number => {
      const deep = languageModel({ vocabulary: 8, dModel: 4, layers: Array.from({ length: count }, () => block) });
      return Math.max(
        ...deep.init(key(0)).blocks.flatMap(({ out_proj }) => Array.from(out_proj.weight.data, Math.abs)),
      );
    };
    // Uniform within 1/sqrt(8) before.
    expect(bound(1)).toBeGreaterThan(0.3);
    expect(bound(4)).toBeGreaterThan(0.15);
    expect(bound(4)).toBeLessThanOrEqual(1 / Math.sqrt(8) / 2);
  });

  it("makes an id outside the vocabulary visible as NaN, in its own sequence only", async () => {
    const { logits } = await run([
      [1, 8],
      [1, 2],
    ]);
    expect(logits.data.slice(8, 16).every(Number.isNaN)).toBe(true);
    expect(logits.data.slice(16).every(Number.isFinite)).toBe(true);
  });

  it("refuses layers of another width, and ids of another rank", async () => {
    expect(() => languageModel({ vocabulary: 8, dModel: 6, layers: [layer] })).toThrow(
      /layer 0 \(fp-rnn\) has dModel 4, the model 6/,
    );
    const flat = device.run(
      (p: Params, x: Tracer) => model.apply(p, x).logits,
      model.init(key(0)),
      array([1, 2], { dtype: "int32" }),
    );
    await expect(flat).rejects.toThrow(/ids must be int32\[batch, time\], got int32\[2\]/);
  });

  it.each([
    ["fpRnn", languageModel({ vocabulary: 8, dModel: 4, layers: [layer, layer] })],
    ["mamba", languageModel({ vocabulary: 8, dModel: 4, layers: [mamba({ dModel: 4 }), mamba({ dModel: 4 })] })],
  ])("reads a token at a time as it reads the whole: %s", async (_, any) => {
    const stepped = any as unknown as typeof model;
    const params = stepped.init(key(1));
    const ids = array(
      [
        [1, 2, 3, 7],
        [4, 5, 6, 0],
      ],
      { dtype: "int32" },
    );
    const tight = { tol: 1e-6, maxSteps: 500 };
    const whole = (p: Params, x: Tracer) => stepped.apply(p, x, undefined, tight);
    const prefillAndSteps = (p: Params, x: Tracer, initial: State): Tracer => {
      let { logits, state } = stepped.apply(p, x.sliceAxis(1, 0, 2), initial, tight) as {
        logits: Tracer;
        state: State;
      };
      for (const t of [2, 3]) ({ logits, state } = stepped.step(p, x.index(1, t), state, tight));
      return logits;
    };
    const { logits } = await device.get(await device.run(whole, params, ids));
    const last = await device.get(await device.run(prefillAndSteps, params, ids, stepped.initialState(2)));
    expect(last.shape).toEqual([2, 8]);
    const expected = (logits.toNested() as number[][][]).flatMap((rows) => rows.at(-1)!);
    last.data.forEach((value, i) => expect(value).toBeCloseTo(expected[i]!, 5));
  });

  it("refuses parameters of another number of layers, and those without norms", async () => {
    const params = model.init(key(0));
    const ids = array([[1, 2]], { dtype: "int32" });
    const using = (given: unknown) =>
      device.run((p: Params, x: Tracer) => model.apply(p, x).logits, given as typeof params, ids);
    const { blocks, norms, norm_f, ...rest } = params;
    const all = { ...rest, blocks, norms, norm_f };
    await expect(using({ ...all, blocks: [...blocks, ...blocks] })).rejects.toThrow(
      "languageModel: params.blocks must be a list of 2, one per layer; there are 4",
    );
    await expect(using({ ...all, blocks: blocks.slice(1) })).rejects.toThrow(/params.blocks .* there is 1/);
    await expect(using({ ...all, norms: [] })).rejects.toThrow(/params.norms must be a list of 2, .* there are 0/);
    await expect(using({ ...rest, blocks, norm_f })).rejects.toThrow(/params.norms must be a list of 2/);
    await expect(using({ ...rest, blocks, norms })).rejects.toThrow("languageModel: params.norm_f is missing");
    await expect(using(all)).resolves.toBeDefined();
  });

  it("refuses tokens with a time axis, and a state that is not one per layer", async () => {
    const step = (p: Params, token: Tracer, state: State) => model.step(p, token, state).logits;
    const params = model.init(key(0));
    const initial = model.initialState(2);
    const tokens = array([1, 2], { dtype: "int32" });
    const matrix = array([[1], [2]], { dtype: "int32" });
    await expect(device.run(step, params, matrix, initial)).rejects.toThrow(/a step must be int32\[batch\], got int32/);
    for (const state of [initial.slice(1), [...initial, ...initial]]) {
      await expect(device.run(step, params, tokens, state)).rejects.toThrow(/must be a list of 2, one per layer/);
    }
  });
});
