import { compareRandomGraph, randomGraph } from "@banach/autograd/testing";
import fc from "fast-check";
import { expect, it } from "vitest";
import { wasmBackend } from "../../src/runtime/backend.ts";

const backends = {
  "one thread": await wasmBackend({ threads: 1 }),
  "three threads": await wasmBackend({ threads: 3, grain: { step: 0, program: 0 } }),
};

it.each(Object.entries(backends))(
  "random programs agree with the interpreter, optimised or not: %s",
  async (_, backend) => {
    await fc.assert(
      fc.asyncProperty(randomGraph({ smooth: true }), async (program) => {
        await compareRandomGraph(backend, program);
      }),
      { numRuns: 100 },
    );
    expect(backend.memory().liveBuffers).toBe(0);
  },
);
