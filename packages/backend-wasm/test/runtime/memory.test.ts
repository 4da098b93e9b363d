import { array, Device, jit, key, makeGraph, optimize, random, type Tracer } from "@banach/autograd";
import { type Backend, type Buffer, type Executable, OutOfMemoryError, sizeOf } from "@banach/autograd/backend";
import { describe, expect, it } from "vitest";
import { wasmBackend } from "../../src/runtime/backend.ts";
import { spaceOf } from "./reserve.ts";

const KIB = 1024;

/** A vector of so many KiB, each element a number. */
function write(backend: Backend, kib: number, value: number): Buffer {
  const shape = [(kib * KIB) / 4];
  return backend.write(new Float32Array(sizeOf(shape)).fill(value), { dtype: "float32", shape });
}

async function expectFull(backend: Backend, buffer: Buffer, value: number): Promise<void> {
  const data = await backend.read(buffer);
  expect(data).toHaveLength(buffer.byteLength / 4);
  expect(data.every((x) => x === value)).toBe(true);
}

/** Sums of the rows of a matrix product that has to be stored: n^2 numbers of temporaries for n numbers of input. */
const rows = (x: Tracer): Tracer => {
  const outer = x.expandDims(1).matmul(x.expandDims(0));
  return outer.matmul(outer).sum({ axes: 1 });
};

function compile(backend: Backend, f: (x: Tracer) => Tracer, n: number, donate: number[] = []): Promise<Executable> {
  return backend.compile(optimize(makeGraph(f, array(new Float32Array(n)))), { donate, label: "rows" });
}

async function failure(work: () => unknown): Promise<OutOfMemoryError> {
  try {
    await work();
  } catch (error) {
    if (error instanceof OutOfMemoryError) return error;
    throw error;
  }
  throw new Error("there was memory");
}

describe.each([1, 2])("memory of wasm with %i threads", (threads) => {
  const options = { threads, grain: { step: 0, program: 0 } };

  it("grows far beyond its start, and what is there stays as it is", async () => {
    await using backend = await wasmBackend(options);
    const buffers = [1, 16, 4 * KIB, 64, 16 * KIB, 1].map((kib, i) => ({ value: i + 0.5, kib }));
    const written = buffers.map(({ kib, value }) => write(backend, kib, value));
    const executable = await compile(backend, (x) => x.mul(2), 4 * KIB);
    const input = write(backend, 16, 3);
    const { outputs } = await executable.run([input]);
    await expectFull(backend, outputs[0]!, 6);
    for (const [i, { value }] of buffers.entries()) await expectFull(backend, written[i]!, value);
    expect(backend.memory().liveBytes + backend.memory().pooledBytes).toBeGreaterThan(20 * KIB * KIB);
  });

  it("says of a write that does not fit what is live, and leaves all as it is", async () => {
    await using backend = await wasmBackend({ ...options, maxBytes: KIB * KIB });
    const kept = [100, 300, 10, 200].map((kib) => ({ kib, buffer: write(backend, kib, kib) }));
    const before = backend.memory();
    const error = await failure(() => write(backend, 600, 1));
    expect(error).toMatchObject({ requested: 600 * KIB, limit: KIB * KIB, live: 610 * KIB });
    expect(error.message).toBe(
      "write of float32[153600]: does not fit in memory; dispose arrays or use a smaller batch; the largest live tensors are " +
        "float32[76800] (307200 bytes), float32[51200] (204800 bytes), float32[25600] (102400 bytes) " +
        "(requested 614400 bytes, live 624640, limit 1048576)",
    );
    expect(backend.memory()).toEqual(before);
    for (const { kib, buffer } of kept) await expectFull(backend, buffer, kib);
    for (const { buffer } of kept.slice(1)) buffer[Symbol.dispose]();
    await expectFull(backend, write(backend, 600, 1), 1);
    await expectFull(backend, kept[0]!.buffer, 100);
    expect((await failure(() => write(backend, KIB + 1, 1))).message).toMatch(/larger than a buffer may be/);
  });

  it("says so where enough is free, but in pieces", async () => {
    await using backend = await wasmBackend({ ...options, maxBytes: KIB * KIB });
    const buffers = Array.from({ length: 9 }, (_, i) => write(backend, 100, i));
    for (const i of [1, 3, 5, 7]) buffers[i]![Symbol.dispose]();
    const error = await failure(() => write(backend, 300, 1));
    expect(error.message).toMatch(/does not fit in memory, as what is free is in pieces; dispose arrays/);
    await expectFull(backend, write(backend, 100, 9), 9);
    await expectFull(backend, buffers[4]!, 4);
  });

  it("refuses a run whose temporaries do not fit before anything happens; the next, smaller run is right", async () => {
    await using backend = await wasmBackend({ ...options, maxBytes: KIB * KIB });
    const big = await compile(backend, rows, 600, [0]);
    const small = await compile(backend, rows, 100);
    expect(big.temporaryBytes).toBeGreaterThan(KIB * KIB);
    const buffer = backend.write(new Float32Array(600).fill(0.5), { dtype: "float32", shape: [600] });
    const input = backend.write(new Float32Array(100).fill(0.5), { dtype: "float32", shape: [100] });
    await small.run([input]).then(({ outputs }) => outputs.forEach((output) => output[Symbol.dispose]()));
    const before = backend.memory();
    const error = await failure(() => big.run([buffer]));
    expect(error).toMatchObject({ requested: big.temporaryBytes + 2400, limit: KIB * KIB, live: 2800 });
    expect(error.message).toMatch(
      /^rows: does not fit in memory; .* are float32\[600\] \(2400 bytes\), float32\[100\] \(400 bytes\) \(requested/,
    );
    expect(buffer.state).toBe("live");
    expect(await backend.read(buffer)).toEqual(new Float32Array(600).fill(0.5));
    expect(backend.memory()).toEqual(before);
    const [output] = (await small.run([input])).outputs;
    expect(await backend.read(output!)).toEqual(new Float32Array(100).fill(0.0625 * 100 * 100));
    output![Symbol.dispose]();
    expect(backend.memory()).toEqual(before);
  });

  it("is as large after 2 N steps as after N, whatever the order of sizes", async () => {
    await using device = new Device(await wasmBackend(options));
    const heap = spaceOf(device.backend).heap;
    const step = jit(
      ({ w, m }: { w: Tracer; m: Tracer }, x: Tracer) => {
        const y = x.matmul(w).tanh();
        const gradient = x.transpose().matmul(y).div(x.dim(0));
        const momentum = m.mul(0.9).add(gradient);
        return { state: { w: w.sub(momentum.mul(0.1)), m: momentum }, y, loss: y.mul(y).mean() };
      },
      { device, donate: [0] },
    );
    const sizes = [3, 200, 17, 1000, 40, 999, 1];
    const steps = 3 * sizes.length * 13;
    const inputs = sizes.map((n) => random.normal(key(n), [n, 32]));
    let state = device.put({ w: random.normal(key(0), [32, 32]), m: random.normal(key(1), [32, 32]) });
    const kept: Disposable[] = [];
    const seen: object[] = [];
    for (let i = 0; i < 2 * steps; i++) {
      const result = await step(state, inputs[(i * i + i) % sizes.length]!);
      state = result.state;
      result.loss.dispose();
      // Results of some steps outlive others: the last four of every third.
      if (i % 3 === 0) kept.push(result.y);
      else result.y.dispose();
      if (kept.length > 4) kept.shift()![Symbol.dispose]();
      if ((i + 1) % steps !== 0) continue;
      seen.push({ live: device.memory().liveBytes, memory: heap.memory.buffer.byteLength });
    }
    expect(seen).toHaveLength(2);
    expect(seen[1]).toEqual(seen[0]);
    expect(heap.memory.buffer.byteLength).toBeLessThan(1.25 * device.memory().peakBytes);
  });
});

it("a program that no memory has room for is refused when it is compiled", async () => {
  await using backend = await wasmBackend({ threads: 1 });
  const error = await failure(() => compile(backend, rows, 40_000));
  expect(error.requested).toBeGreaterThan(2 ** 32);
  expect(error.limit).toBe(2 ** 32);
  expect(error.message).toMatch(/rows: a run needs more than any memory has/);
  using executable = await compile(backend, rows, 8);
  expect(executable.temporaryBytes).toBeGreaterThan(0);
});
