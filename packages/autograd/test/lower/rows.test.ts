import fc from "fast-check";
import { expect, it } from "vitest";
import { makeGraph } from "../../src/jit/make-graph.ts";
import { lower } from "../../src/lower/index.ts";
import { blockRows, blocksWithin } from "../../src/lower/rows.ts";
import { concatenate, scan, whileLoop } from "../../src/ops/index.ts";
import { array } from "../../src/runtime/host-tensor.ts";
import type { Tracer } from "../../src/trace/tracer.ts";
import { runProgram } from "../../src/reference/run-program.ts";
import { sampleData, sampleGraph } from "../../src/testing/sample.ts";
import { allSamples } from "../../src/testing/samples.ts";

/** Shapes of tests are small: blocks of one row or two show whatever larger ones would. */
const small = { ...blocksWithin({ least: 1, most: 2 }), whiles: true };

it.each(
  allSamples()
    .filter(({ primitive }) => primitive === "scan" || primitive === "while")
    .map((sample) => [sample.sample.name, sample] as const),
)("loops by blocks of rows give the same numbers: %s", (_, { primitive, sample }) => {
  const inputs = sampleData(sample.inputs, 1);
  const program = lower(sampleGraph(primitive, sample as never));
  expect(runProgram(blockRows(program, small), inputs)).toEqual(runProgram(program, inputs));
});

const moves = {
  tanh: (h: Tracer) => h.tanh(),
  product: (h: Tracer, w: Tracer) => h.matmul(w),
  rowSum: (h: Tracer) => h.sub(h.sum({ axes: 1, keepDims: true })),
  columns: (h: Tracer) => concatenate([h.sliceAxis(1, 1, 3), h.sliceAxis(1, 0, 1)], 1),
  // These mix rows: loops with them must stay as they are.
  shiftedRows: (h: Tracer) => concatenate([h, h], 0).sliceAxis(0, 2, 2 + h.dim(0)),
  columnSum: (h: Tracer) => h.sub(h.sum({ axes: 0, keepDims: true })),
  settled: (h: Tracer) =>
    whileLoop(
      (c: { y: Tracer; change: Tracer }) => c.change.greater(0.1),
      ({ y }) => ({ y: y.mul(0.5), change: y.abs().max({ axes: 1 }) }),
      { y: h, change: h.abs().max({ axes: 1 }) },
      { maxSteps: 6 },
    ).carry.y,
} satisfies Record<string, (h: Tracer, w: Tracer) => Tracer>;

it("loops of random steps by blocks of rows give the same numbers", () => {
  let blocked = 0;
  const names = fc.array(fc.constantFrom(...(Object.keys(moves) as (keyof typeof moves)[])), {
    minLength: 1,
    maxLength: 5,
  });
  fc.assert(
    fc.property(names, fc.constantFrom(2, 4, 6), (chosen, rows) => {
      const step = (w: Tracer) => (h: Tracer, x: Tracer) => {
        const next = chosen.reduce((y, name) => moves[name](y, w), h.add(x));
        return [next, next.mul(2)] as const;
      };
      const f = ([w, xs]: readonly [Tracer, Tracer]): Tracer => scan(step(w), xs.index(0, 0).mul(0), xs)[1];
      const data = [
        Float32Array.from({ length: 9 }, (_, i) => Math.cos(i)),
        Float32Array.from({ length: 9 * rows }, (_, i) => Math.sin(i)),
      ];
      const [w, xs] = [array(data[0]!, { shape: [3, 3] }), array(data[1]!, { shape: [3, rows, 3] })];
      const program = lower(makeGraph(f, [w, xs]));
      const inBlocks = blockRows(program, small);
      blocked += Number(inBlocks.steps.some((s, i) => s !== program.steps[i]));
      expect(runProgram(inBlocks, data)).toEqual(runProgram(program, data));
    }),
    { numRuns: 300 },
  );
  expect(blocked).toBeGreaterThan(20);
});
