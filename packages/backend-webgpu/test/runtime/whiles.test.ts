/** Whiles over dispatches: how many iterations are encoded, and what is read back. */
import { array, makeGraph, type Tracer, whileLoop } from "@banach/autograd";
import { type Backend, optimize } from "@banach/autograd/backend";
import { expect, it } from "vitest";
import { webgpuBackend } from "../../src/index.ts";
import { WebGpuExecutable } from "../../src/runtime/executable.ts";

const STEPS = 60;

async function open(backend: Backend, length: number, test: (x: Tracer) => Tracer): Promise<WebGpuExecutable> {
  const loop = (x: Tracer): Tracer => whileLoop(test, (z: Tracer) => z.add(1), x, { maxSteps: STEPS }).carry;
  const executable = await backend.compile(optimize(makeGraph(loop, array(new Float32Array(length)))));
  if (!(executable instanceof WebGpuExecutable)) throw new Error("no executable of this backend");
  return executable;
}

it("encodes what the last run made, also after a run that was ended by maxSteps", async () => {
  await using backend = await webgpuBackend();
  using executable = await open(backend, 3, (z) => z.max().less(1000));
  const run = async (start: number): Promise<{ steps: number | undefined; dispatches: number }> => {
    using input = backend.write(new Float32Array(3).fill(start), { dtype: "float32", shape: [3] });
    const { outputs, loopSteps } = await executable.run([input]);
    const steps = loopSteps[0];
    expect(await backend.read(outputs[0]!)).toEqual(new Float32Array(3).fill(start + (steps ?? NaN)));
    outputs[0]![Symbol.dispose]();
    return { steps, dispatches: executable.sent!.dispatches };
  };
  await run(990);
  const usual = await run(990);
  expect(usual.steps).toBe(10);
  // By chunks that double, then at once.
  expect((await run(0)).steps).toBe(STEPS);
  const most = await run(0);
  expect(most.steps).toBe(STEPS);
  expect(most.dispatches).toBeGreaterThan(4 * usual.dispatches);
  // One run finds out that so many are no longer needed.
  expect(await run(990)).toEqual({ steps: 10, dispatches: most.dispatches });
  expect(await run(990)).toEqual(usual);
});

it("counts the iterations of any number of rows", async () => {
  await using backend = await webgpuBackend({ fuseLoops: false });
  const rows = 300_000;
  using executable = await open(backend, rows, (z) => z.less(5));
  using input = backend.write(new Float32Array(rows), { dtype: "float32", shape: [rows] });
  const { outputs, loopSteps } = await executable.run([input]);
  expect(loopSteps).toEqual([5]);
  expect(new Set(await backend.read(outputs[0]!))).toEqual(new Set([5]));
  outputs[0]![Symbol.dispose]();
});
