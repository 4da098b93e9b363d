import { Device, key, random, type Tracer } from "@banach/autograd";
import { type Backend, BackendLostError } from "@banach/autograd/backend";
import { expect, it } from "vitest";
import { webgpuBackend } from "../../src/index.ts";
import { compile, countTo, double, failure, openOwnDevice, rows, values, write } from "./support.ts";

async function expectLost(backend: Backend): Promise<void> {
  const { reason, message } = await backend.lost;
  expect(reason).toBe("destroyed");
  expect(message).toMatch(/the WebGPU device was lost.*; open a new backend and restore from the host/s);
  expect(backend.memory()).toMatchObject({ liveBuffers: 0, liveBytes: 0, pooledBytes: 0 });
}

it("rejects all that is pending when the device is destroyed: runs, loops, reads and compilations", async () => {
  const gpu = await openOwnDevice();
  const backend = await webgpuBackend({ device: gpu });
  const input = write(backend, 1, 0);
  const [plain, loop, other] = [
    await compile(backend, double, 1),
    await compile(backend, countTo(2000), 1),
    await compile(backend, rows, 1),
  ];
  // One loop is in the middle, so that the runs after it wait for their turn.
  const looping = loop.run([input]);
  await new Promise((resolve) => setTimeout(resolve, 20));
  const pending = {
    looping,
    run: plain.run([input]),
    "another loop": loop.run([input]),
    "a run of many temporaries": other.run([input]),
    read: backend.read(input),
    "second read": backend.read(input),
    synchronize: backend.synchronize(),
    compile: compile(backend, (x) => x.mul(3).tanh(), 1),
    "compile of a loop": compile(backend, countTo(3), 1),
  };
  const outcomes = Object.entries(pending).map(
    async ([name, promise]) => [name, await failure(() => promise)] as const,
  );
  gpu.destroy();
  for (const [name, error] of await Promise.all(outcomes)) expect(error, name).toBeInstanceOf(BackendLostError);
  await expectLost(backend);
  expect(input.state).toBe("lost");

  const calls = [
    () => backend.read(input),
    () => plain.run([input]),
    () => loop.run([input]),
    () => backend.synchronize(),
    () => compile(backend, double, 1),
    () => write(backend, 1, 1),
  ];
  for (const call of calls) expect(await failure(call)).toBeInstanceOf(BackendLostError);
  // Harmless, and more than once.
  for (const executable of [plain, loop, other]) executable[Symbol.dispose]();
  input[Symbol.dispose]();
  expect(input.state).toBe("disposed");
  await backend[Symbol.asyncDispose]();
  await backend[Symbol.asyncDispose]();
  expect(backend.memory().liveBuffers).toBe(0);
});

it("rejects the first run of a program that is lost on the way", async () => {
  const gpu = await openOwnDevice();
  const backend = await webgpuBackend({ device: gpu });
  using plain = await compile(backend, double, 1);
  const running = plain.run([write(backend, 1, 0)]);
  gpu.destroy();
  expect(await failure(() => running)).toBeInstanceOf(BackendLostError);
  await expectLost(backend);
});

it("a run that was on its way may be told of, but what it returns is lost", async () => {
  const gpu = await openOwnDevice();
  const backend = await webgpuBackend({ device: gpu });
  using plain = await compile(backend, double, 1);
  const input = write(backend, 1, 0);
  (await plain.run([input])).outputs[0]![Symbol.dispose]();
  const running = plain.run([input]).then(
    ({ outputs }) => outputs[0]!,
    (error: unknown) => error,
  );
  gpu.destroy();
  const outcome = await running;
  await expectLost(backend);
  if (outcome instanceof Error) expect(outcome).toBeInstanceOf(BackendLostError);
  else expect(outcome).toMatchObject({ state: "lost" });
});

it("what is asked for while the backend is being disposed ends, one way or the other", async () => {
  const backend = await webgpuBackend();
  const input = write(backend, 1, 0);
  const loop = await compile(backend, countTo(100), 1);
  const running = loop.run([input]);
  const reading = backend.read(input);
  const disposed = backend[Symbol.asyncDispose]();
  const late = [
    () => loop.run([input]),
    () => backend.read(input),
    () => backend.synchronize(),
    () => compile(backend, rows, 1),
  ];
  const ends = late.map((call) =>
    call().then(
      () => null,
      (error: unknown) => error,
    ),
  );
  // What was asked for before is done.
  expect((await running).loopSteps).toEqual([100]);
  expect(new Set(await reading)).toEqual(new Set([0]));
  await disposed;
  for (const end of await Promise.all(ends)) if (end !== null) expect(end).toBeInstanceOf(BackendLostError);
  expect((await backend.lost).reason).toBe("destroyed");
  expect(await failure(() => backend.read(input))).toBeInstanceOf(BackendLostError);
});

it("work goes on from host copies on a fresh backend, to the same numbers", async () => {
  const xs = random.normal(key(0), [32, 8]);
  const step = (w: Tracer, x: Tracer): Tracer => w.sub(x.transpose().matmul(x.matmul(w).tanh()).mul(0.01));
  const start = random.normal(key(1), [8, 8]);
  const STEPS = 12;
  const open = async (): Promise<{ gpu: GPUDevice; device: Device }> => {
    const gpu = await openOwnDevice();
    return { gpu, device: new Device(await webgpuBackend({ device: gpu })) };
  };

  const whole = await open();
  let w = whole.device.put(start);
  for (let i = 0; i < STEPS; i++) w = await whole.device.run(step, w, xs);
  const expected = await w.read();
  await whole.device[Symbol.asyncDispose]();
  whole.gpu.destroy();

  // A copy every third step; the device goes away in the middle of the eighth.
  let copy = { steps: 0, data: start };
  let now = await open();
  w = now.device.put(copy.data);
  let losses = 0;
  for (let i = 0; i < STEPS;) {
    try {
      const next = now.device.run(step, w, xs);
      if (losses === 0 && i === 7) now.gpu.destroy();
      w = await next;
      i++;
      if (i % 3 === 0) copy = { steps: i, data: await w.read() };
    } catch (error) {
      expect(error).toBeInstanceOf(BackendLostError);
      losses++;
      await now.device[Symbol.asyncDispose]();
      now = await open();
      w = now.device.put(copy.data);
      i = copy.steps;
    }
  }
  expect(losses).toBe(1);
  expect((await w.read()).data).toEqual(expected.data);
  expect(expected.data).not.toEqual(start.data);
  await now.device[Symbol.asyncDispose]();
  now.gpu.destroy();
});

it("a loss is of one backend: the one beside it goes on", async () => {
  const [first, second] = [await openOwnDevice(), await openOwnDevice()];
  const lost = await webgpuBackend({ device: first });
  await using other = await webgpuBackend({ device: second });
  using executable = await compile(other, double, 1);
  using input = write(other, 1, 2);
  await lost.read(write(lost, 1, 1));
  first.destroy();
  await expectLost(lost);
  const [output] = (await executable.run([input])).outputs;
  expect(await values(other, output!)).toEqual(new Set([4]));
  expect(await failure(() => executable.run([write(lost, 1, 1)]))).toBeInstanceOf(BackendLostError);
});
