import { compareRandomGraph, randomGraph } from "@banach/autograd/testing";
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

it.each(Object.entries(backends))(
  "random programs agree with the interpreter, optimised or not: %s",
  async (_, backend) => {
    let compared = 0;
    await fc.assert(
      fc.asyncProperty(randomGraph({ smooth: true }), async (program) => {
        compared += await compareRandomGraph(backend, program);
      }),
      { numRuns: 60 },
    );
    expect(compared).toBeGreaterThan(1000);
    expect(backend.memory().liveBuffers).toBe(0);
  },
);
