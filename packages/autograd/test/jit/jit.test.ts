import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  ArgumentError,
  BackendUnavailableError,
  DisposedBufferError,
  DonatedBufferError,
  ShapeError,
} from "../../src/errors.ts";
import { type Device, jit, open } from "../../src/jit/index.ts";
import { add, mul, sum } from "../../src/ops/index.ts";
import { reference } from "../../src/reference/index.ts";
import { array } from "../../src/runtime/host-tensor.ts";
import type { Tracer } from "../../src/trace/tracer.ts";

let device: Device;
beforeEach(async () => {
  device = await reference();
});
afterEach(async () => {
  await device[Symbol.asyncDispose]();
});

const double = (x: Tracer): Tracer => mul(x, 2);

describe("jit", () => {
  it("takes host tensors, typed arrays, numbers and device arrays", async () => {
    const f = jit((a: Tracer, p: { b: Tracer; c: readonly Tracer[] }) => add(add(a, p.b), p.c[0]!), { device });
    using onDevice = device.put(array([10, 20]));
    using y = await f(onDevice, { b: Float32Array.of(1, 2), c: [0.5] });
    expect((await y.read()).toNested()).toEqual([11.5, 22.5]);
  });

  it("traces and compiles once per structure and types", async () => {
    let traces = 0;
    const f = jit((x: Tracer) => (traces++, double(x)), { device });
    for (const data of [[1], [2], [1, 2], [3, 4], [5]]) (await f(array(data))).dispose();
    expect([traces, device.compiledPrograms]).toEqual([2, 2]);
  });

  it("shares one program between functions that mean the same, but not between other donations", async () => {
    (await jit(double, { device })(array([1]))).dispose();
    (await jit((y: Tracer) => mul(y, 2), { device })(array([1]))).dispose();
    expect(device.compiledPrograms).toBe(1);
    (await jit(double, { device, donate: [0] })(array([1]))).dispose();
    expect(device.compiledPrograms).toBe(2);
  });

  it("runs a function at once, and again from its cache", async () => {
    using a = await device.run(double, array([1]));
    using b = await device.run(double, array([2]));
    expect([await a.item(), await b.item(), device.compiledPrograms]).toEqual([2, 4, 1]);
  });

  it("copies what it closed over once", async () => {
    const weight = array([1, 2, 3]);
    const f = jit((x: Tracer) => mul(x, weight), { device });
    (await f(array([1, 1, 1]))).dispose();
    const { liveBytes } = device.memory();
    using y = await f(array([2, 2, 2]));
    expect((await y.read()).toNested()).toEqual([2, 4, 6]);
    expect(device.memory().liveBytes).toBe(liveBytes + 12);
  });

  it("takes donated arrays over, and names them when they are used again", async () => {
    const step = jit((params: { w: Tracer }, x: Tracer) => ({ w: add(params.w, x) }), {
      device,
      donate: [0],
      label: "step",
    });
    const before = device.memory().liveBytes;
    const params = device.put({ w: array([1, 2]) });
    const next = await step(params, 1);
    expect(params.w.isLive).toBe(false);
    expect(device.memory().liveBytes).toBe(before + 8);
    await expect(step(params, 1)).rejects.toThrow(DonatedBufferError);
    await expect(step(params, 1)).rejects.toThrow(/step: argument 0 \('w'\).*float32\[2\] array was donated to 'step'/);
    expect((await next.w.read()).toNested()).toEqual([2, 3]);
    device.dispose(next);
    expect(device.memory().liveBytes).toBe(before);
  });

  it("refuses an array that is donated and read by the same call", async () => {
    const f = jit((a: Tracer, b: Tracer) => add(a, b), { device, donate: [0] });
    using x = device.put(array([1]));
    await expect(f(x, x)).rejects.toThrow(/argument 0 is donated and is also argument 1/);
    expect(x.isLive).toBe(true);
  });

  it("refuses disposed arrays, arrays of other devices and wrong options, by name", async () => {
    const f = jit(double, { device, label: "f" });
    const x = device.put(array([1]));
    x.dispose();
    await expect(f(x)).rejects.toThrow(DisposedBufferError);
    await expect(f(x)).rejects.toThrow(/f: argument 0: this float32\[1\] array was disposed/);
    const other = await reference();
    await expect(f(other.put(array([1])))).rejects.toThrow(BackendUnavailableError);
    await other[Symbol.asyncDispose]();
    expect(() => jit(double, { device, donate: [-1] })).toThrow(ArgumentError);
  });

  it("traces again after an error of the function", async () => {
    let fail = true;
    const f = jit((x: Tracer) => (fail ? add(x, array([1, 2, 3])) : double(x)), { device });
    await expect(f(array([1, 2]))).rejects.toThrow(ShapeError);
    fail = false;
    using y = await f(array([1, 2]));
    expect((await y.read()).toNested()).toEqual([2, 4]);
  });

  it("holds as much after twice as many runs", async () => {
    const step = jit((w: Tracer, x: Tracer) => ({ w: add(w, sum(x)), loss: sum(mul(w, x)) }), { device, donate: [0] });
    let w = device.put(array([1, 2, 3]));
    const run = async (times: number): Promise<number> => {
      for (let i = 0; i < times; i++) {
        const result = await step(w, array([1, 2, 3]));
        result.loss.dispose();
        ({ w } = result);
      }
      return device.memory().liveBytes;
    };
    const after = await run(5);
    expect(await run(10)).toBe(after);
    expect(device.leaks()).toEqual([]);
    w.dispose();
    expect(device.memory().liveBytes).toBe(0);
  });
});

describe("devices", () => {
  it("put and get trees", async () => {
    const tree = { w: array([[1, 2]]), more: [array(3)] };
    const there = device.put(tree);
    expect(await device.get(there)).toEqual(tree);
    device.dispose(there);
    expect(device.memory().liveBuffers).toBe(0);
  });

  it("are opened in order of preference, with every reason when none starts", async () => {
    const no = (why: string) => () => Promise.reject(new BackendUnavailableError(why));
    const { device: found, refused } = await open({ prefer: [no("no adapter"), reference] });
    expect(refused.map(({ message }) => message)).toEqual(["no adapter"]);
    await found[Symbol.asyncDispose]();
    await expect(open({ prefer: [no("no adapter"), no("no memory")] })).rejects.toThrow(/no adapter; no memory/);
  });
});
