/** Temporaries that share bindings: which of them do, and that dispatches with more buffers than bindings compute right. */
import { random, key, makeGraph, type Tracer } from "@banach/autograd";
import { type DType, optimize } from "@banach/autograd/backend";
import { describe, expect, it } from "vitest";
import { segmentsOf, type Temporary } from "../../src/codegen/segments.ts";
import { SOFTWARE, storedType } from "../../src/codegen/shader-writer.ts";
import { describeAgreement, type Program, settle, weights } from "./agreement.ts";
import { limitsOf, shadersOf } from "./shaders.ts";

/** A temporary of so many bytes at an offset. */
function temporary(slab: number, offset: number, bytes: number, dtype: DType, isVector: boolean): Temporary {
  const buffer = { name: `t${offset}`, dtype, size: bytes / 4 };
  return { buffer, place: { kind: "arena", slab, offset, bytes }, element: storedType(dtype), isVector };
}

describe("temporaries", () => {
  const a = temporary(0, 0, 512, "float32", true);
  const b = temporary(0, 512, 256, "float32", false);
  const c = temporary(0, 1024, 256, "float32", false);
  const d = temporary(0, 1280, 4096, "float32", true);
  const e = temporary(0, 8192, 256, "int32", true);
  const other = temporary(1, 0, 256, "float32", false);
  const all = [d, other, b, e, a, c];
  const shapes = (most: number): readonly string[] =>
    segmentsOf(all, most).map(
      ({ place, element, isVector }) =>
        `${place.slab}: ${place.offset} to ${place.offset + place.bytes} ${isVector ? `vec4<${element}>` : element}`,
    );

  it("are by themselves where there is room", () => {
    expect(segmentsOf(all, 6).map(({ temporaries }) => temporaries)).toEqual([[a], [b], [c], [d], [e], [other]]);
    expect(segmentsOf(all, 6).map(({ place }) => place)).toEqual([a, b, c, d, e, other].map(({ place }) => place));
  });

  it("share with neighbours of their kind first, and are no vectors only where that is needed", () => {
    expect(shapes(5)).toContain("0: 512 to 1280 f32");
    expect(shapes(4)).toEqual([
      "0: 0 to 512 vec4<f32>",
      "0: 512 to 1280 f32",
      "0: 1280 to 8448 vec4<u32>",
      "1: 0 to 256 f32",
    ]);
    expect(shapes(3)).toEqual(["0: 0 to 1280 f32", "0: 1280 to 8448 vec4<u32>", "1: 0 to 256 f32"]);
    expect(shapes(2)).toEqual(["0: 0 to 8448 u32", "1: 0 to 256 f32"]);
    expect(shapes(1)).toEqual(shapes(2));
  });

  it("are not words where they are halves", () => {
    const halves = [temporary(0, 0, 256, "float16", false), temporary(0, 256, 256, "float16", false)];
    const words = temporary(0, 512, 256, "int32", false);
    expect(segmentsOf([...halves, words], 2).map(({ element }) => element)).toEqual(["f16", "i32"]);
    expect(segmentsOf([...halves, words], 1).length).toBe(2);
  });
});

const WEIGHTS = 10;

/** A loop that reads more temporaries than a device has bindings: matrices, integers and bools. */
const manyTemporaries: Program = (y, ...matrices) => {
  const scaled = matrices.map(weights);
  const signs = y.greater(0);
  const counts = y.mul(3).astype("int32");
  const odd = y.sum({ axes: 1, keepDims: true });
  return settle(
    y,
    (z) => {
      const products = scaled.map((w, i) =>
        z
          .matmul(w)
          .mul((i + 1) / 20)
          .tanh(),
      );
      const sum = products.reduce((left, right) => left.add(right));
      return sum
        .mul(signs.astype("float32").sub(0.5))
        .add(counts.astype("float32").mul(0.01))
        .add(odd.mul(0.001))
        .mul(0.5);
    },
    0.01,
  );
};

const shapes = [[12, 64], ...Array.from({ length: WEIGHTS }, () => [64, 64])];

describeAgreement({ "more temporaries in a loop than bindings": [shapes, manyTemporaries] });

it("keeps matrices in vectors in a loop with 8 bindings", () => {
  const tensors = shapes.map((shape, i) => random.normal(random.foldIn(key(5), i), shape));
  const graph = optimize(makeGraph((args: readonly Tracer[]) => manyTemporaries(...args), tensors));
  const shaders = shadersOf(graph, limitsOf(SOFTWARE));
  const loop = shaders.find(({ label }) => label.startsWith("rows"));
  expect(loop?.bindings.length).toBe(8);
  expect(loop?.code.match(/array<vec4<f32>>/g)?.length).toBe(2);
  expect(loop?.code).toMatch(/b0\[\d+u \+ a\d+ \+ o\d+\]/);
});
