/** Programs on float16, of which drivers in software have none: what can be said of their shaders without running them. */
import { key, makeGraph, random, type Tracer, whileLoop } from "@banach/autograd";
import { optimize } from "@banach/autograd/backend";
import { expect, it } from "vitest";
import { HARDWARE, type Shader } from "../../src/codegen/shader-writer.ts";
import { limitsOf, shadersOf } from "./shaders.ts";

function halves(f: (x: Tracer, w: Tracer) => Tracer): readonly Shader[] {
  const [x, w] = [random.normal(key(0), [8, 512]), random.normal(key(1), [512, 512])];
  const half = (x: Tracer, w: Tracer): Tracer => f(x.astype("float16"), w.astype("float16")).astype("float32");
  return shadersOf(optimize(makeGraph(half, x, w)), limitsOf(HARDWARE));
}

it("keeps halves in storage, and words of float32 that are rounded to half in a loop's own memory", () => {
  const shaders = halves((x, w) => {
    const step = (y: Tracer): Tracer =>
      y
        .matmul(w)
        .tanh()
        .mul(y.sum({ axes: 1, keepDims: true }));
    return whileLoop((y: Tracer) => y.abs().max({ axes: 1 }).greater(1), step, x, { maxSteps: 5 }).carry;
  });
  const loop = shaders.find(({ label }) => label.startsWith("rows"))!;
  expect(loop.code).toMatch(/^enable f16;/);
  expect(loop.code).toMatch(/array<f16>/);
  expect(loop.code).toMatch(/near\d+\[.*\] = bitcast<u32>\(fp_to_f16\(/);
  for (const { code } of shaders) expect(code).not.toMatch(/bitcast<f16>/);
});

it("adds up in float32, also where a sum is divided among dispatches", () => {
  const shaders = halves((x, w) => w.matmul(w.sliceAxis(1, 0, 32)).add(x.sum()));
  const parts = shaders.filter(({ label }) => label === "contract");
  expect(parts.length).toBe(1);
  expect(parts[0]!.code).toMatch(/var s\d+ = vec4<f32>\(\)/);
  for (const { code } of shaders) expect(code).not.toMatch(/var \w+: f16/);
});
