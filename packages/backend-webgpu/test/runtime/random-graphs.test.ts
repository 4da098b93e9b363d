import { optimize } from "@banach/autograd";
import { evaluateGraph } from "@banach/autograd/reference";
import { randomGraph } from "@banach/autograd/testing";
import fc from "fast-check";
import { afterAll, expect, it } from "vitest";
import { webgpuBackend } from "../../src/index.ts";
import { strangeDevice } from "../strange-device.ts";

const reversed = await strangeDevice({ reversed: true });
const backends = {
  "limits of the adapter": await webgpuBackend(),
  "limits of any device, shaders for a GPU, invocations from the last to the first": await webgpuBackend({
    device: reversed,
    tuning: "hardware",
  }),
};

afterAll(async () => {
  for (const backend of Object.values(backends)) await backend[Symbol.asyncDispose]();
  reversed.destroy();
});

/** Sums are added in another order and functions rounded otherwise; over some thirty steps that may grow to this. */
const TOLERANCE = 2e-3;

function agree(x: number, y: number, scale: number): boolean {
  return Object.is(x, y) || x === y || Math.abs(x - y) <= TOLERANCE * Math.max(1, scale);
}

it.each(Object.entries(backends))(
  "random programs agree with the interpreter, optimised or not: %s",
  async (_, backend) => {
    let compared = 0;
    await fc.assert(
      fc.asyncProperty(randomGraph({ smooth: true }), async ({ graph, inputs }) => {
        const expected = evaluateGraph(graph, inputs);
        for (const variant of [graph, optimize(graph)]) {
          using executable = await backend.compile(variant);
          const buffers = inputs.map((data, i) => backend.write(data, graph.inputs[i]!.type));
          const { outputs } = await executable.run(buffers);
          for (const [k, output] of outputs.entries()) {
            const actual = await backend.read(output);
            const want = Array.from(expected[k]!);
            const scale = Math.max(0, ...want.filter(Number.isFinite).map(Math.abs));
            // A device may assume that there are no infinities, so that what overflows is anything.
            expect(want.every((x, i) => !Number.isFinite(x) || agree(x, actual[i]!, scale))).toBe(true);
            compared += want.filter(Number.isFinite).length;
          }
          for (const buffer of [...buffers, ...outputs]) buffer[Symbol.dispose]();
        }
      }),
      { numRuns: 60 },
    );
    expect(compared).toBeGreaterThan(1000);
    expect(backend.memory().liveBuffers).toBe(0);
  },
);
