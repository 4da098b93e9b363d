import { array, makeGraph, type Tracer, whileLoop } from "@banach/autograd";
import {
  type Backend,
  type Buffer,
  BackendLostError,
  BanachError,
  lower,
  OutOfMemoryError,
} from "@banach/autograd/backend";
import { describe, expect, it } from "vitest";
import { Layout } from "../../src/codegen/layout.ts";
import { webgpuBackend } from "../../src/index.ts";
import { GpuBuffer } from "../../src/runtime/memory.ts";
import { FakeDevice } from "./fake-device.ts";
import { compile, countTo, double, failure, KIB, rows, values, write } from "./support.ts";

/** Begins a compilation that is aborted on the way. */
function aborted(_: FakeDevice, backend: Backend): () => Promise<unknown> {
  const controller = new AbortController();
  const graph = makeGraph(double, array([1]));
  const compiling = backend.compile(graph, { signal: controller.signal });
  controller.abort();
  return () => compiling;
}

/** Begins a run that has no room for its results. */
async function missing(fake: FakeDevice, backend: Backend): Promise<() => Promise<unknown>> {
  const executable = await compile(backend, double, 1);
  const input = write(backend, 1, 1);
  await backend.synchronize();
  fake.refused = () => true;
  const running = executable.run([input]);
  return () => running;
}

/** The label of memory that reads go through. */
const READING = "memory to read through";

describe("a device that has no memory left", () => {
  it("says so where a write that did not fit is read or run, with what is live; the rest stays as it is", async () => {
    const fake = await FakeDevice.open();
    await using backend = await fake.openBackend();
    using executable = await compile(backend, double, 64);
    using kept = write(backend, 64, 3);
    using large = write(backend, 128, 4);
    await backend.synchronize();
    const { liveBuffers, liveBytes } = backend.memory();

    fake.refused = ({ size }) => size === 300 * KIB;
    const missing = write(backend, 300, 1);
    const error = await failure(() => backend.read(missing));
    expect(error).toBeInstanceOf(OutOfMemoryError);
    expect(error).toMatchObject({ requested: 300 * KIB, live: 192 * KIB, limit: backend.limits.maxBufferBytes });
    expect(error.message).toMatch(
      /^write of float32\[76800\]: the device has no memory left; dispose arrays .* the largest live tensors are float32\[32768\] \(131072 bytes\), float32\[16384\] \(65536 bytes\) \(no room/,
    );
    using program = await compile(backend, double, 300);
    expect(await failure(() => program.run([missing]))).toBeInstanceOf(OutOfMemoryError);
    missing[Symbol.dispose]();
    expect(backend.memory()).toMatchObject({ liveBuffers, liveBytes });

    const { outputs } = await executable.run([kept]);
    expect(await values(backend, outputs[0]!)).toEqual(new Set([6]));
    expect(await values(backend, large)).toEqual(new Set([4]));
    outputs[0]![Symbol.dispose]();
    // Nothing was left for a later call to be told of.
    await backend.synchronize();
    fake.refused = () => false;
    using now = write(backend, 300, 1);
    expect(await values(backend, now)).toEqual(new Set([1]));
    fake.real.destroy();
  });

  it.each([
    { what: "results", f: double, donate: [], live: 1.5 * KIB },
    { what: "results, with a donated input", f: double, donate: [0], live: 1.5 * KIB },
    { what: "temporaries", f: rows, donate: [0], live: 2.5 * KIB },
  ])("rejects the run that has no room for $what; the next one is right", async ({ f, donate, live }) => {
    const fake = await FakeDevice.open();
    const backend = await fake.openBackend();
    using big = await compile(backend, f, 1, donate, "big");
    using small = await compile(backend, f, 0.5, [], "small");
    const input = write(backend, 1, 0.5);
    const half = write(backend, 0.5, 0.5);
    await backend.synchronize();
    const { liveBuffers, liveBytes } = backend.memory();

    const requested = Math.max(KIB, big.temporaryBytes);
    fake.refused = ({ size, label }) => size >= requested && label !== READING;
    const error = await failure(() => big.run([input]));
    expect(error).toBeInstanceOf(OutOfMemoryError);
    expect(error).toMatchObject({ requested, live, limit: backend.limits.maxBufferBytes });
    expect(error.message).toMatch(
      /big: the device has no memory left; .* are (float32\[256\] \(1024 bytes\), ){1,2}float32\[128\] \(512 bytes\) /,
    );
    expect(input.state).toBe("live");
    expect(await values(backend, input)).toEqual(new Set([0.5]));
    expect(backend.memory()).toMatchObject({ liveBuffers, liveBytes });

    const expected = (n: number): ReadonlySet<number> => new Set([f === rows ? 0.0625 * n * n : 1]);
    const [output] = (await small.run([half])).outputs;
    expect(await values(backend, output!)).toEqual(expected(128));
    output![Symbol.dispose]();
    fake.refused = () => false;
    const [now] = (await big.run([input])).outputs;
    expect(await values(backend, now!)).toEqual(expected(256));
    for (const buffer of [now!, input, half]) buffer[Symbol.dispose]();
    expect(backend.memory().liveBytes).toBe(0);
    await backend[Symbol.asyncDispose]();
    fake.real.destroy();
  });

  it("rejects a read that finds no memory to go through; the next one is right", async () => {
    const fake = await FakeDevice.open();
    await using backend = await fake.openBackend();
    using buffer = write(backend, 100, 7);
    await backend.synchronize();
    fake.refused = ({ label }) => label === READING;
    const error = await failure(() => backend.read(buffer));
    expect(error).toBeInstanceOf(OutOfMemoryError);
    expect(error).toMatchObject({ requested: 128 * KIB, live: 100 * KIB });
    fake.refused = () => false;
    await backend.synchronize();
    expect(await values(backend, buffer)).toEqual(new Set([7]));
    fake.real.destroy();
  });

  it.each([
    ["the first", false],
    ["a later", true],
  ])("rejects %s run that finds no memory to read its counts through; it has taken nothing", async (_, isLater) => {
    const fake = await FakeDevice.open();
    await using backend = await fake.openBackend();
    const loop = (x: Tracer): Tracer =>
      whileLoop(
        (z: Tracer) => z.less(5),
        (z: Tracer) => z.add(1),
        x,
        { maxSteps: 9 },
      ).carry;
    using executable = await compile(backend, loop, 1, [0]);
    if (isLater) (await executable.run([write(backend, 1, 1)])).outputs[0]![Symbol.dispose]();
    // So that no run has to wait for memory but that to read through.
    const buffers = [1, 2, 3, 3].map((value) => write(backend, 1, value));
    await backend.synchronize();
    const [first, second, other, input] = buffers as [Buffer, Buffer, Buffer, Buffer];
    for (const buffer of [first, second]) buffer[Symbol.dispose]();
    // This one has all of that which is idle.
    const before = isLater ? executable.run([other]) : null;
    if (before === null) other[Symbol.dispose]();
    fake.refused = ({ label }) => label === READING;
    expect(await failure(() => executable.run([input]))).toBeInstanceOf(OutOfMemoryError);
    (await before)?.outputs[0]![Symbol.dispose]();
    expect(input.state).toBe("live");
    fake.refused = () => false;
    await backend.synchronize();
    const { outputs, loopSteps } = await executable.run([input]);
    expect(loopSteps).toEqual([2]);
    expect(await values(backend, outputs[0]!)).toEqual(new Set([5]));
    outputs[0]![Symbol.dispose]();
    expect(backend.memory()).toMatchObject({ liveBuffers: 0, liveBytes: 0 });
    fake.real.destroy();
  });

  it("gives back what is idle, so that it is there for the next attempt", async () => {
    const fake = await FakeDevice.open();
    await using backend = await fake.openBackend();
    const buffers = [300, 200, 100].map((kib) => write(backend, kib, 1));
    await Promise.all(buffers.map((buffer) => backend.read(buffer)));
    for (const buffer of buffers) buffer[Symbol.dispose]();
    expect(backend.memory().pooledBytes).toBe(600 * KIB);
    fake.refused = ({ size }) => size + backend.memory().pooledBytes > 700 * KIB;
    const first = write(backend, 500, 2);
    expect(await failure(() => backend.read(first))).toBeInstanceOf(OutOfMemoryError);
    first[Symbol.dispose]();
    using second = write(backend, 500, 2);
    expect(await values(backend, second)).toEqual(new Set([2]));
    fake.real.destroy();
  });

  it("refuses at once what is larger than a binding of the device", async () => {
    const fake = await FakeDevice.open();
    await using backend = await fake.openBackend();
    const limit = fake.device.limits.maxStorageBufferBindingSize;
    expect(limit).toBeLessThan(fake.device.limits.maxBufferSize);
    const length = limit / 4 + 1;
    // A stand-in for data that no test should allocate.
    const data = Object.defineProperty(new Float32Array(0), "length", { value: length });
    const error = await failure(() => backend.write(data, { dtype: "float32", shape: [length] }));
    expect(error).toBeInstanceOf(OutOfMemoryError);
    expect(error).toMatchObject({ requested: 4 * length, limit, live: 0 });
    expect(backend.limits.maxBufferBytes).toBe(limit);
    expect(backend.memory().liveBuffers).toBe(0);
    fake.real.destroy();
  });

  it("refuses results that no binding holds at the run, and temporaries and scratch memory at the compilation", async () => {
    // Not a multiple of what allocations are multiples of.
    const limit = 64 * KIB - 4;
    const fake = await FakeDevice.open({ maxStorageBufferBindingSize: limit });
    await using backend = await fake.openBackend();
    using most = backend.write(new Float32Array(limit / 4).fill(2), { dtype: "float32", shape: [limit / 4] });
    using doubling = await compile(backend, double, limit / KIB);
    const [doubled] = (await doubling.run([most])).outputs;
    expect(await values(backend, doubled!)).toEqual(new Set([4]));
    doubled![Symbol.dispose]();

    using input = write(backend, 1, 2);
    const outer = (x: Tracer): Tracer => x.expandDims(1).mul(x.expandDims(0));
    using large = await compile(backend, outer, 1, [0], "large");
    const ofRun = await failure(() => large.run([input]));
    expect(ofRun).toBeInstanceOf(OutOfMemoryError);
    expect(ofRun.message).toMatch(/^large: float32\[256,256\] is larger/);
    expect(ofRun).toMatchObject({ requested: 256 * KIB, limit, live: limit + KIB });
    expect(input.state).toBe("live");

    const ofCompile = await failure(() => compile(backend, rows, 1, [], "deep"));
    expect(ofCompile).toBeInstanceOf(OutOfMemoryError);
    expect(ofCompile.message).toMatch(/^deep: a temporary is larger/);
    expect(ofCompile).toMatchObject({ requested: 256 * KIB, live: limit + KIB });
    fake.real.destroy();

    const program = lower(makeGraph(double, array([1, 2])));
    const layout = new Layout(program, 64 * KIB, { label: "scratching", live: 5 });
    expect(layout.scratch(64 * KIB).bytes).toBe(64 * KIB);
    const ofScratch = await failure(() => layout.scratch(64 * KIB + 256));
    expect(ofScratch).toBeInstanceOf(OutOfMemoryError);
    expect(ofScratch.message).toMatch(/^scratching: /);
    expect(ofScratch).toMatchObject({ requested: 64 * KIB + 256, limit: 64 * KIB, live: 5 });
  });
});

describe("a device that refuses", () => {
  it("a shader: the promise of the compilation says why, with the code, and another attempt may succeed", async () => {
    const fake = await FakeDevice.open();
    await using backend = await fake.openBackend();
    fake.appended = "\nfn broken() -> f32 { return nothing; }";
    const [error, second] = await Promise.all([1, 1].map(() => failure(() => compile(backend, double, 1))));
    expect(error).toBeInstanceOf(BanachError);
    expect(error!.message).toMatch(/the device refused the shader .*line \d+: .*'nothing'[^]*@compute/);
    expect(second!.message).toBe(error!.message);
    fake.appended = "";
    await backend.synchronize();
    using executable = await compile(backend, double, 1);
    using input = write(backend, 1, 2);
    const [output] = (await executable.run([input])).outputs;
    expect(await values(backend, output!)).toEqual(new Set([4]));
    fake.real.destroy();
  });

  it.each([
    ["double", double, 6],
    ["a while", countTo(9), 9],
  ] as const)(
    "the first submission of a program: its run is rejected, and the next is right: %s",
    async (_, f, value) => {
      const fake = await FakeDevice.open();
      await using backend = await fake.openBackend();
      using executable = await compile(backend, f, 1, [0], "doubling");
      const input = write(backend, 1, 3);
      fake.nextSubmission = "the planted fault";
      const error = await failure(() => executable.run([input]));
      expect(error.message).toBe("doubling: the device refused the program: the planted fault");
      expect(error).toBeInstanceOf(BanachError);
      expect(input.state).toBe("live");
      expect(backend.memory().liveBuffers).toBe(1);
      const [output] = (await executable.run([input])).outputs;
      expect(await values(backend, output!)).toEqual(new Set([value]));
      expect(input.state).toBe("donated");
      fake.real.destroy();
    },
  );
});

describe("an error that no promise waits for", () => {
  it.each(["run", "read", "synchronize"] as const)("rejects the next %s, once", async (call) => {
    const fake = await FakeDevice.open();
    await using backend = await fake.openBackend();
    using executable = await compile(backend, double, 1);
    using input = write(backend, 1, 3);
    const calls = {
      run: async () => (await executable.run([input])).outputs[0]![Symbol.dispose](),
      read: () => backend.read(input),
      synchronize: () => backend.synchronize(),
    };
    await calls.run();
    // The second run of a program is not asked what the device thinks of it.
    fake.nextSubmission = "the planted fault";
    await calls.run();
    const error = await failure(calls[call]);
    expect(error).toBeInstanceOf(BanachError);
    expect(error.message).toMatch(/the device refused it: the planted fault/);
    expect(backend.memory().liveBuffers).toBe(1);
    await calls[call]();
    fake.real.destroy();
  });

  it("of a real device rejects the read of what was not computed, and the console says nothing", async () => {
    const backend = await webgpuBackend();
    using executable = await compile(backend, double, 1);
    const input = write(backend, 1, 3);
    (await executable.run([input])).outputs[0]![Symbol.dispose]();
    if (!(input instanceof GpuBuffer)) throw new Error("not a buffer of this backend");
    input.allocation.gpu.destroy();
    const [output] = (await executable.run([input])).outputs;
    const error = await failure(() => backend.read(output!));
    expect(error).toBeInstanceOf(BanachError);
    expect(error.message).toMatch(/^read: the device refused it: .*destroyed/s);
    await backend.synchronize();
    await backend[Symbol.asyncDispose]();
  });

  it.each([
    ["a run", missing],
    ["a compilation", aborted],
  ])("is kept where %s fails for another reason before it is said", async (_, begin) => {
    const fake = await FakeDevice.open();
    await using backend = await fake.openBackend();
    const outcome = failure(await begin(fake, backend));
    fake.nextSubmission = "the planted fault";
    fake.device.queue.submit([]);
    await outcome;
    expect((await failure(() => backend.synchronize())).message).toMatch(/the planted fault/);
    await backend.synchronize();
    fake.real.destroy();
  });

  it("is the caller's where the device is", async () => {
    const fake = await FakeDevice.open();
    await using backend = await webgpuBackend({ device: fake.device });
    using executable = await compile(backend, double, 1);
    using input = write(backend, 1, 3);
    for (const call of [
      async () => (await executable.run([input])).outputs[0]![Symbol.dispose](),
      () => backend.read(input),
      () => backend.synchronize(),
    ]) {
      fake.nextSubmission = "a fault of the caller's own";
      fake.device.queue.submit([]);
      await call();
    }
    fake.real.destroy();
  });

  it("is heard until the backend is disposed", async () => {
    const fake = await FakeDevice.open();
    const backend = await fake.openBackend();
    expect(fake.listening).toBe(1);
    await backend[Symbol.asyncDispose]();
    expect(fake.listening).toBe(0);
    fake.real.destroy();
  });
});

describe("a device that is lost for a reason of its own", () => {
  it("rejects whatever is asked for later, and says what to do", async () => {
    const fake = await FakeDevice.open();
    const backend = await fake.openBackend();
    using executable = await compile(backend, double, 1);
    const input = write(backend, 1, 3);
    const running = (await compile(backend, countTo(1000), 1)).run([input]);
    fake.crash("the driver crashed");
    expect(await failure(() => running)).toBeInstanceOf(BackendLostError);
    const { reason, message } = await backend.lost;
    expect(reason).toBe("unknown");
    expect(message).toMatch(/the driver crashed; open a new backend and restore from the host/);
    expect(input.state).toBe("lost");
    expect(backend.memory()).toMatchObject({ liveBuffers: 0, liveBytes: 0, pooledBytes: 0 });
    const calls = [
      () => backend.read(input),
      () => executable.run([input]),
      () => backend.synchronize(),
      () => compile(backend, double, 1),
      () => write(backend, 1, 1),
    ];
    for (const call of calls) {
      const error = await failure(call);
      expect(error).toBeInstanceOf(BackendLostError);
      expect(error.message).toMatch(/the driver crashed; open a new backend/);
    }
    await backend[Symbol.asyncDispose]();
    expect(fake.isDestroyed).toBe(false);
    fake.real.destroy();
  });
});
