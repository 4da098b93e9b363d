import { describe, expect, it } from "vitest";
import { parseGraph } from "../../src/ir/parse.ts";
import { PRIMITIVES } from "../../src/ir/primitives.ts";
import { printGraph } from "../../src/ir/print.ts";
import { verify } from "../../src/ir/verify.ts";
import { evaluateGraph } from "../../src/reference/interpret.ts";
import { retype, widen } from "../../src/testing/graph-tools.ts";
import { sampleData, sampleGraph } from "../../src/testing/sample.ts";
import { allSamples, samples } from "../../src/testing/samples.ts";

describe("samples", () => {
  it("cover every primitive, under distinct names", () => {
    for (const primitive of PRIMITIVES) {
      const names = samples[primitive].map(({ name }) => name);
      expect(names.length, primitive).toBeGreaterThan(1);
      expect(new Set(names).size, `${primitive}: ${names.join("; ")}`).toBe(names.length);
    }
  });

  for (const { primitive, sample } of allSamples()) {
    it(`${primitive} ${sample.name}: verifies, prints and parses, runs in both float types`, () => {
      const graph = sampleGraph(primitive, sample as never);
      verify(graph);
      const text = printGraph(graph);
      expect(printGraph(parseGraph(text))).toBe(text);
      const inputs = sampleData(sample.inputs, 1);
      const wide = retype(graph);
      verify(wide);
      expect(evaluateGraph(graph, inputs).length).toBe(evaluateGraph(wide, widen(graph, inputs)).length);
      expect(sampleData(sample.inputs, 1)).toEqual(inputs);
    });
  }
});
