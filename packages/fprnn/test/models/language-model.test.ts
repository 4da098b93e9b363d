import { array, key, type Tracer } from "@banach/autograd";
import { reference } from "@banach/autograd/reference";
import { describe, expect, it } from "vitest";
import { fpMamba, fpRnn, householder, languageModel } from "../../src/index.ts";

const device = await reference();
const layer = fpRnn({ dModel: 4, expand: 1, mixer: householder() });
const model = languageModel({ vocabulary: 8, dModel: 4, layers: [layer, layer] });
type Params = Parameters<typeof model.apply>[0];

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
});
