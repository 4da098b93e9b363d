import { array, Device, jit, key, makeGraph, random, type Tracer } from "@banach/autograd";
import { type Buffer, DonatedBufferError } from "@banach/autograd/backend";
import { describe, expect, it } from "vitest";
import { webgpuBackend } from "../../src/index.ts";
import { FakeDevice } from "./fake-device.ts";
import { compile, countTo, double, failure, KIB, openOwnDevice, rows, values, write } from "./support.ts";

describe("backends", () => {
  it("come and go without an end, each with what it needs and no more", async () => {
    const pooled: number[] = [];
    for (let i = 0; i < 25; i++) {
      const backend = await webgpuBackend();
      using executable = await compile(backend, double, 1);
      const [output] = (await executable.run([write(backend, 1, i)])).outputs;
      expect(await values(backend, output!)).toEqual(new Set([2 * i]));
      output![Symbol.dispose]();
      pooled.push(backend.memory().pooledBytes);
      await backend[Symbol.asyncDispose]();
      expect((await backend.lost).reason).toBe("destroyed");
      expect(backend.memory()).toMatchObject({ liveBuffers: 0, liveBytes: 0, pooledBytes: 0 });
    }
    expect(new Set(pooled).size).toBe(1);
  });

  it("work side by side, and refuse each other's buffers", async () => {
    await using first = await webgpuBackend();
    await using second = await webgpuBackend({ limits: {} });
    const backends = [first, second];
    const programs = await Promise.all(backends.map((backend) => compile(backend, countTo(20), 1)));
    const inputs = backends.map((backend, i) => write(backend, 1, i * 5));
    for (let round = 0; round < 3; round++) {
      const runs = await Promise.all(programs.map((program, i) => program.run([inputs[i]!])));
      expect(runs.map(({ loopSteps }) => loopSteps)).toEqual([[20], [15]]);
      for (const [i, { outputs }] of runs.entries()) {
        expect(await values(backends[i]!, outputs[0]!)).toEqual(new Set([20]));
        outputs[0]![Symbol.dispose]();
      }
    }
    expect((await failure(() => first.read(inputs[1]!))).message).toMatch(/is no buffer of this backend/);
    expect((await failure(() => programs[0]!.run([inputs[1]!]))).message).toMatch(/is no buffer of this backend/);
  });

  it("share a borrowed device, which they leave as they found it", async () => {
    const fake = await FakeDevice.open();
    for (let i = 0; i < 3; i++) {
      const backend = await webgpuBackend({ device: fake.device });
      const before = fake.buffers.size;
      using executable = await compile(backend, rows, 0.25);
      const input = write(backend, 0.25, 1);
      const [output] = (await executable.run([input])).outputs;
      expect(await values(backend, output!)).toEqual(new Set([64 * 64]));
      expect(fake.buffers.size).toBeGreaterThan(before);
      await backend[Symbol.asyncDispose]();
      executable[Symbol.dispose]();
      expect(fake.isDestroyed).toBe(false);
      expect(fake.buffers.size).toBe(0);
    }
    fake.real.destroy();
  });
});

describe("a compilation that fails leaves no memory behind", () => {
  /** Two whiles, each with sizes of its own. */
  const program = (x: Tracer): Tracer => countTo(5)(x).add(countTo(7)(x.mul(3).tanh()));

  it("where it is aborted", async () => {
    const fake = await FakeDevice.open();
    await using backend = await webgpuBackend({ device: fake.device });
    const graph = makeGraph(program, array(new Float32Array(4)));
    const before = fake.buffers.size;
    using executable = await backend.compile(graph);
    const needed = fake.buffers.size - before;
    expect(needed).toBeGreaterThan(1);
    const controller = new AbortController();
    const compiling = backend.compile(graph, { signal: controller.signal });
    controller.abort();
    await failure(() => compiling);
    expect(fake.buffers.size).toBe(before + needed);
    executable[Symbol.dispose]();
    expect(fake.buffers.size).toBe(before);
    fake.real.destroy();
  });

  it.each([0, 1, 2, 3, 4])("where one pipeline is refused, number %i", async (refused) => {
    const fake = await FakeDevice.open();
    await using backend = await webgpuBackend({ device: fake.device });
    const before = fake.buffers.size;
    let shaders = 0;
    fake.appended = () => (shaders++ === refused ? "\nfn broken() -> f32 { return nothing; }" : "");
    const error = await failure(() => backend.compile(makeGraph(program, array(new Float32Array(4)))));
    expect(error.message).toMatch(/the device refused the shader/);
    await backend.synchronize();
    expect(fake.buffers.size).toBe(before);
    fake.real.destroy();
  });
});

describe("memory", () => {
  it("is the same after N steps and after 2 N, whatever the order of sizes", async () => {
    await using device = new Device(await webgpuBackend());
    const step = jit(
      ({ w, m }: { w: Tracer; m: Tracer }, x: Tracer) => {
        const y = x.matmul(w).tanh();
        const momentum = m.mul(0.9).add(x.transpose().matmul(y).div(x.dim(0)));
        return { state: { w: w.sub(momentum.mul(0.1)), m: momentum }, y, loss: y.mul(y).mean() };
      },
      { device, donate: [0] },
    );
    const sizes = [3, 100, 17];
    const inputs = sizes.map((n) => random.normal(key(n), [n, 16]));
    let state = device.put({ w: random.normal(key(0), [16, 16]), m: random.normal(key(1), [16, 16]) });
    const kept: Disposable[] = [];
    const seen: object[] = [];
    const steps = 12 * sizes.length;
    for (let i = 0; i < 3 * steps; i++) {
      const result = await step(state, inputs[(i * i + i) % sizes.length]!);
      state = result.state;
      await result.loss.item();
      result.loss.dispose();
      // Results of some steps outlive others.
      if (i % 3 === 0) kept.push(result.y);
      else result.y.dispose();
      if (kept.length > 4) kept.shift()![Symbol.dispose]();
      if ((i + 1) % steps !== 0) continue;
      const { liveBytes, pooledBytes } = device.memory();
      seen.push({ liveBytes, all: liveBytes + pooledBytes });
    }
    expect(seen).toHaveLength(3);
    expect(seen[2]).toEqual(seen[1]);
  });

  it("of a buffer that is disposed right after it was given to a run is used again only after that run", async () => {
    await using backend = await webgpuBackend();
    using plain = await compile(backend, double, 4);
    using loop = await compile(backend, countTo(30), 4);
    for (const program of [plain, loop, plain]) {
      const runs = [];
      for (let i = 0; i < 5; i++) {
        const input = write(backend, 4, i);
        runs.push(program.run([input]));
        input[Symbol.dispose]();
        expect(input.state).toBe("disposed");
        // What takes its memory while the run may not be encoded yet.
        const next = write(backend, 4, 1000);
        next[Symbol.dispose]();
      }
      for (const [i, { outputs }] of (await Promise.all(runs)).entries()) {
        expect(await values(backend, outputs[0]!)).toEqual(new Set([program === plain ? 2 * i : 30]));
        outputs[0]![Symbol.dispose]();
      }
    }
    expect(backend.memory().liveBuffers).toBe(0);
  });

  it("of a buffer that is disposed right after it was given to a read is read as it was", async () => {
    await using backend = await webgpuBackend();
    const reads = [1, 2, 3].map((value) => {
      const buffer = write(backend, 8, value);
      const reading = backend.read(buffer);
      buffer[Symbol.dispose]();
      write(backend, 8, 99)[Symbol.dispose]();
      return reading;
    });
    expect((await Promise.all(reads)).map((data) => [...new Set(data)])).toEqual([[1], [2], [3]]);
    expect(backend.memory().liveBuffers).toBe(0);
  });
});

describe("runs that overlap", () => {
  it("keep their order and their results, with loops and without", async () => {
    await using backend = await webgpuBackend();
    using plain = await compile(backend, double, 1);
    using loop = await compile(backend, countTo(12), 1);
    using other = await compile(backend, rows, 0.25);
    const inputs = [0, 1, 2, 3].map((value) => write(backend, 1, value));
    const small = write(backend, 0.25, 1);
    const expected: number[] = [];
    const runs = inputs.flatMap((input, i) => {
      expected.push(12, 2 * i, 64 * 64);
      return [loop.run([input]), plain.run([input]), other.run([small])];
    });
    for (const [k, { outputs }] of (await Promise.all(runs)).entries()) {
      expect(await values(backend, outputs[0]!)).toEqual(new Set([expected[k]]));
      outputs[0]![Symbol.dispose]();
    }
    for (const buffer of [...inputs, small]) buffer[Symbol.dispose]();
    expect(backend.memory().liveBytes).toBe(0);
  });

  it("hand on what is donated, and refuse it to others", async () => {
    await using backend = await webgpuBackend();
    using plain = await compile(backend, double, 1, [0]);
    using loop = await compile(backend, countTo(64), 1, [0]);
    let buffer: Buffer = write(backend, 1, 1);
    for (let i = 0; i < 5; i++) {
      const [next] = (await plain.run([buffer])).outputs;
      expect(buffer.state).toBe("donated");
      expect(await failure(() => plain.run([buffer]))).toBeInstanceOf(DonatedBufferError);
      buffer = next!;
      expect(backend.memory()).toMatchObject({ liveBuffers: 1, liveBytes: KIB });
    }
    const before = buffer;
    const [last] = (await loop.run([before])).outputs;
    expect(before.state).toBe("donated");
    expect(await values(backend, last!)).toEqual(new Set([64]));
    last![Symbol.dispose]();
    expect(backend.memory().liveBytes).toBe(0);
  });

  it("have what is donated to them from the call on, and give it back where they fail", async () => {
    const fake = await FakeDevice.open();
    await using backend = await webgpuBackend({ device: fake.device });
    for (const [f, value] of [
      [double, 10],
      [countTo(64), 64],
    ] as const) {
      using taking = await compile(backend, f, 1, [0]);
      using other = await compile(backend, double, 1);
      const input = write(backend, 1, 5);
      fake.nextSubmission = "the planted fault";
      const failing = taking.run([input]);
      expect(input.state).toBe("donated");
      for (const late of [() => taking.run([input]), () => other.run([input]), () => backend.read(input)]) {
        expect(await failure(late)).toBeInstanceOf(DonatedBufferError);
      }
      expect((await failure(() => failing)).message).toMatch(/the planted fault/);
      expect(input.state).toBe("live");
      expect(await values(backend, input)).toEqual(new Set([5]));

      const [first, second] = await Promise.allSettled([taking.run([input]), taking.run([input])]);
      expect(second).toMatchObject({ status: "rejected", reason: expect.any(DonatedBufferError) as unknown });
      if (first.status === "rejected") throw first.reason;
      const [output] = first.value.outputs;
      expect(await values(backend, output!)).toEqual(new Set([value]));
      output![Symbol.dispose]();
      expect(input.state).toBe("donated");

      // What is disposed on the way is not used again before the run has ended.
      const left = write(backend, 1, 7);
      const leaving = taking.run([left]);
      left[Symbol.dispose]();
      write(backend, 1, 99)[Symbol.dispose]();
      const [last] = (await leaving).outputs;
      expect(await values(backend, last!)).toEqual(new Set([f === double ? 14 : 64]));
      last![Symbol.dispose]();
      expect(backend.memory()).toMatchObject({ liveBuffers: 0, liveBytes: 0 });
    }
    fake.real.destroy();
  });

  it("end well where their executable is disposed before they do", async () => {
    await using backend = await webgpuBackend();
    const input = write(backend, 1, 0);
    for (const [f, value] of [
      [double, 0],
      [countTo(200), 200],
    ] as const) {
      const executable = await compile(backend, f, 1);
      const runs = [executable.run([input]), executable.run([input])];
      executable[Symbol.dispose]();
      for (const { outputs } of await Promise.all(runs)) {
        expect(await values(backend, outputs[0]!)).toEqual(new Set([value]));
        outputs[0]![Symbol.dispose]();
      }
      expect((await failure(() => executable.run([input]))).message).toMatch(/the executable was disposed/);
    }
    await backend.synchronize();
  });
});

it("a device of the caller's outlives its backend", async () => {
  const gpu = await openOwnDevice();
  await (await webgpuBackend({ device: gpu }))[Symbol.asyncDispose]();
  const backend = await webgpuBackend({ device: gpu });
  expect(await values(backend, write(backend, 1, 3))).toEqual(new Set([3]));
  await backend[Symbol.asyncDispose]();
  gpu.destroy();
});
