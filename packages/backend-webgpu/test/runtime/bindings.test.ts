/** Bind groups that runs remember: never those of other memory, none made twice, and not more than a bounded number. */
import { array, makeGraph, scan, type Tracer } from "@banach/autograd";
import { type Backend, type Buffer, optimize } from "@banach/autograd/backend";
import { expect, it } from "vitest";
import { webgpuBackend } from "../../src/index.ts";
import { WebGpuExecutable } from "../../src/runtime/executable.ts";
import { double, openOwnDevice } from "./support.ts";

const LENGTH = 16;

type Program = (...inputs: Tracer[]) => Tracer | readonly Tracer[];

async function compile(backend: Backend, f: Program, inputs: number, donate: number[] = []): Promise<WebGpuExecutable> {
  const samples = Array.from({ length: inputs }, () => array(new Float32Array(LENGTH)));
  const graph = makeGraph(f as (...inputs: Tracer[]) => Tracer[], ...samples);
  const executable = await backend.compile(optimize(graph), { donate });
  if (!(executable instanceof WebGpuExecutable)) throw new Error("no executable of this backend");
  return executable;
}

const write = (backend: Backend, value: number): Buffer =>
  backend.write(new Float32Array(LENGTH).fill(value), { dtype: "float32", shape: [LENGTH] });

async function read(backend: Backend, buffer: Buffer | undefined): Promise<number> {
  if (buffer === undefined) throw new Error("there is no such output");
  const values = new Set(await backend.read(buffer));
  buffer[Symbol.dispose]();
  expect(values.size).toBe(1);
  return [...values][0] ?? NaN;
}

/** Two kernels at least, the sum in between stored: LENGTH * x + y. */
const sumAnd = (x: Tracer, y: Tracer): Tracer => x.sum({ axes: 0, keepDims: true }).add(y);

/** A device that counts the bind groups it makes. */
async function counting(): Promise<{ device: GPUDevice; readonly made: () => number }> {
  const device = await openOwnDevice();
  let made = 0;
  const create = device.createBindGroup.bind(device);
  device.createBindGroup = (descriptor) => {
    made++;
    return create(descriptor);
  };
  return { device, made: () => made };
}

it("reads what it is given, also where that changes more often than anything is remembered", async () => {
  await using backend = await webgpuBackend();
  using executable = await compile(backend, sumAnd, 2);
  const inputs = Array.from({ length: 11 }, (_, i) => write(backend, i + 1));
  for (let i = 0; i < 60; i++) {
    const [a, b] = [(i * 7) % 11, (i * i + 3) % 11];
    const { outputs } = await executable.run([inputs[a]!, inputs[b]!]);
    expect(await read(backend, outputs[0])).toBe(LENGTH * (a + 1) + b + 1);
  }
});

it("makes no bind group twice while inputs alternate, and remembers a bounded number", async () => {
  const { device, made } = await counting();
  const backend = await webgpuBackend({ device });
  const executable = await compile(backend, sumAnd, 2);
  const inputs = Array.from({ length: 20 }, (_, i) => write(backend, i));
  const run = async (a: number, b: number): Promise<number> => {
    const before = made();
    const { outputs } = await executable.run([inputs[a]!, inputs[b]!]);
    expect(await read(backend, outputs[0])).toBe(LENGTH * a + b);
    return made() - before;
  };
  const first = await run(0, 1);
  expect(first).toBeGreaterThan(1);
  // Only what reads the other input binds something else.
  const second = await run(0, 2);
  expect(second).toBeGreaterThan(0);
  expect(second).toBeLessThan(first);
  for (let i = 0; i < 6; i++) expect(await run(0, 1 + (i % 2))).toBe(0);
  for (let i = 0; i < 20; i++) await run(i, 19 - i);
  const { bound, dispatches } = (
    executable as unknown as {
      readonly parts: { readonly program: { readonly bound: unknown[]; readonly dispatches: { groups: unknown[] }[] } };
    }
  ).parts.program;
  expect(bound).toHaveLength(8);
  for (const { groups } of dispatches) expect(groups.length).toBeLessThanOrEqual(8);
  expect(await run(0, 1)).toBeGreaterThan(0);
  executable[Symbol.dispose]();
  await backend[Symbol.asyncDispose]();
  device.destroy();
});

it("follows what is donated from run to run", async () => {
  await using backend = await webgpuBackend();
  using executable = await compile(backend, (x, y) => [x.add(y), y.add(1)], 2, [0, 1]);
  let state = [write(backend, 100), write(backend, 3)];
  for (let i = 0; i < 25; i++) state = [...(await executable.run(state)).outputs];
  expect(await read(backend, state[0])).toBe(100 + (25 * (3 + 27)) / 2);
  expect(await read(backend, state[1])).toBe(28);
  expect(backend.memory().liveBuffers).toBe(0);
});

it("reads buffers anew that have the memory of earlier ones", async () => {
  await using backend = await webgpuBackend();
  using executable = await compile(backend, sumAnd, 2);
  const kept: Buffer[] = [];
  for (let i = 0; i < 24; i++) {
    using x = write(backend, i);
    using y = write(backend, 2 * i);
    const { outputs } = await executable.run(i % 3 === 0 ? [x, y] : [y, x]);
    expect(await read(backend, outputs[0])).toBe(i % 3 === 0 ? (LENGTH + 2) * i : (2 * LENGTH + 1) * i);
    // Some memory does not come back, so that what comes next has other.
    if (i % 5 === 0) kept.push(write(backend, -1));
  }
  expect(kept.map(({ state }) => state)).toEqual(kept.map(() => "live"));
});

it("keeps programs apart that take turns, also where one of them makes the memory of both grow", async () => {
  await using backend = await webgpuBackend();
  using small = await compile(backend, sumAnd, 2);
  using plain = await compile(backend, double, 1);
  const [x, y] = [write(backend, 2), write(backend, 5)];
  const expectAll = async (): Promise<void> => {
    const runs = await Promise.all([small.run([x, y]), plain.run([x]), small.run([y, x]), plain.run([y])]);
    const found = await Promise.all(runs.map(({ outputs }) => read(backend, outputs[0])));
    expect(found).toEqual([2 * LENGTH + 5, 4, 5 * LENGTH + 2, 10]);
  };
  await expectAll();
  await expectAll();
  // Sums of products that have to be stored: slabs of more than the small program asked for.
  const outer = (v: Tracer): Tracer => {
    const square = v.expandDims(1).matmul(v.expandDims(0));
    return square.matmul(square).sum({ axes: 1 });
  };
  using large = await compile(backend, outer, 1);
  for (let i = 0; i < 3; i++) {
    expect(await read(backend, (await large.run([x])).outputs[0])).toBe(2 ** 4 * LENGTH ** 2);
    await expectAll();
  }
});

it("gives each iteration of a loop over dispatches its counter, for any memory", async () => {
  await using backend = await webgpuBackend({ fuseLoops: false });
  const sums = (x: Tracer, y: Tracer): Tracer =>
    scan((carry: Tracer, v: Tracer) => [carry.add(v.mul(y)), carry.add(v)] as const, y.mul(0), x.expandDims(1))[0];
  using executable = await compile(backend, sums, 2);
  const steps = Array.from({ length: LENGTH }, (_, i) => i + 1);
  const given = [1, 2, 3].map((scale) =>
    backend.write(
      Float32Array.from(steps, (step) => scale * step),
      { dtype: "float32", shape: [LENGTH] },
    ),
  );
  for (let i = 0; i < 12; i++) {
    using y = write(backend, i);
    const { outputs } = await executable.run([given[i % 3]!, y]);
    expect(executable.sent!.dispatches).toBeGreaterThanOrEqual(LENGTH);
    expect(await read(backend, outputs[0])).toBe((((i % 3) + 1) * i * LENGTH * (LENGTH + 1)) / 2);
  }
});
