import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  ArgumentError,
  BackendUnavailableError,
  DisposedBufferError,
  DonatedBufferError,
  DTypeError,
  OutOfMemoryError,
  ShapeError,
  TraceError,
} from "../../src/errors.ts";
import { Device, jit, makeGraph, open } from "../../src/jit/index.ts";
import { add, mul, sum } from "../../src/ops/index.ts";
import { reference, referenceBackend } from "../../src/reference/index.ts";
import type { DeviceArray } from "../../src/runtime/device-array.ts";
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

describe("what functions close over", () => {
  it("is copied once per device, whichever functions use it", async () => {
    const h = array([1, 2]);
    for (let i = 0; i < 20; i++) (await device.run((x: Tracer) => add(x, h), h)).dispose();
    expect(device.memory().liveBuffers).toBe(1);
  });

  it("is copied again when it was changed since", async () => {
    const h = array([1, 2]);
    const first = jit((x: Tracer) => add(x, h), { device });
    (await first(0)).dispose();
    h.data[0] = 5;
    using old = await first(0);
    using fresh = await device.run((x: Tracer) => add(x, h), 0);
    expect([(await old.read()).toNested(), (await fresh.read()).toNested()]).toEqual([
      [1, 2],
      [5, 2],
    ]);
  });

  it("is freed when the last jitted function that uses it is disposed, after its runs", async () => {
    const h = array([1, 2]);
    const one = jit((x: Tracer) => add(x, h), { device });
    const other = jit((x: Tracer) => mul(x, h), { device });
    device.dispose([await one(1), await other(1)]);
    one[Symbol.dispose]();
    expect(device.memory().liveBuffers).toBe(1);
    const running = other(2);
    other[Symbol.dispose]();
    using y = await running;
    expect((await y.read()).toNested()).toEqual([2, 4]);
    expect(device.memory().liveBuffers).toBe(1);
    (await other(1)).dispose();
    other[Symbol.dispose]();
    y.dispose();
    expect(device.memory().liveBuffers).toBe(0);
  });

  it("is freed when a compilation that needs it fails", async () => {
    const backend = referenceBackend();
    const failing = new Device({ ...backend, compile: () => Promise.reject(new Error("no luck")) });
    await expect(failing.run((x: Tracer) => add(x, array([1])), 1)).rejects.toThrow("no luck");
    expect(failing.memory().liveBuffers).toBe(0);
  });
});

describe("arguments", () => {
  /** A device whose compilations end when they are told to. */
  const slow = async (): Promise<{ device: Device; compile: () => void }> => {
    const backend = referenceBackend();
    let compile = (): void => undefined;
    const gate = new Promise<void>((resolve) => (compile = resolve));
    const patient = {
      ...backend,
      compile: async (...given: Parameters<typeof backend.compile>) => {
        const executable = await backend.compile(...given);
        await gate;
        return executable;
      },
    };
    return { device: new Device(patient), compile };
  };

  it("are read during the call", async () => {
    const f = jit(double, { device });
    const h = array([1, 2]);
    const cold = f(h);
    h.data[0] = 99;
    using a = await cold;
    const warm = f(h);
    h.data[0] = 7;
    using b = await warm;
    expect([(await a.read()).data[0], (await b.read()).data[0]]).toEqual([2, 198]);
  });

  it("may be disposed after the call, and are freed after the run", async () => {
    const { device: patient, compile } = await slow();
    const f = jit(double, { device: patient });
    const local = (): Promise<DeviceArray> => {
      using x = patient.put(array([1, 2]));
      return f(x);
    };
    const pending = local();
    expect(patient.memory().liveBuffers).toBe(1);
    compile();
    using y = await pending;
    expect((await y.read()).toNested()).toEqual([2, 4]);
    expect(patient.memory().liveBuffers).toBe(1);
    using again = await local();
    expect((await again.read()).toNested()).toEqual([2, 4]);
    expect(patient.memory().liveBuffers).toBe(2);
  });

  it("count as gone once disposed, even while a run needs them", async () => {
    const { device: patient, compile } = await slow();
    const f = jit(double, { device: patient });
    const x = patient.put(array([1]));
    const pending = f(x);
    x.dispose();
    expect(x.isLive).toBe(false);
    await expect(f(x)).rejects.toThrow(DisposedBufferError);
    compile();
    (await pending).dispose();
    expect(patient.memory().liveBuffers).toBe(0);
  });

  it("are given away to the first of two calls", async () => {
    const f = jit(double, { device, donate: [0], label: "f" });
    const x = device.put(array([1]));
    const [first, second] = [f(x), f(x)];
    expect(x.isLive).toBe(false);
    await expect(second).rejects.toThrow(/f: argument 0: this float32\[1\] array was donated to 'f'/);
    using y = await first;
    expect(await y.item()).toBe(2);
    expect(device.memory().liveBuffers).toBe(1);
  });

  it("are read by a call made before the one that they are given to, even if its program is compiled later", async () => {
    const { device: patient, compile } = await slow();
    const give = jit((x: Tracer) => add(x, 1), { device: patient, donate: [0] });
    const x = patient.put(array([1]));
    const [read, given] = [patient.run(double, x), give(x)];
    compile();
    expect(await Promise.all([(await read).item(), (await given).item()])).toEqual([2, 2]);
  });

  it("are as before when the run that they were given to fails", async () => {
    const tight = await reference({ maxBytes: 64 });
    const f = jit((x: Tracer, y: Tracer) => add(x, mul(y, array(new Float32Array(4)))), {
      device: tight,
      donate: [0],
      label: "f",
    });
    const x = tight.put(array([1, 2, 3, 4]));
    const kept = tight.put(array([1, 2, 3, 4]));
    await expect(f(x, array([1, 2, 3, 4]))).rejects.toThrow(OutOfMemoryError);
    expect([x.isLive, kept.isLive]).toEqual([true, true]);
    const failing = f(x, array([1, 2, 3, 4]));
    x.dispose();
    await expect(failing).rejects.toThrow(OutOfMemoryError);
    kept.dispose();
    f[Symbol.dispose]();
    expect(tight.memory().liveBuffers).toBe(0);
  });

  it("must be as many as are donated", async () => {
    const f = jit(double, { device, donate: [3], label: "f" });
    await expect(f(array([1]))).rejects.toThrow(ArgumentError);
    await expect(f(array([1]))).rejects.toThrow(/f: donate lists argument 3, but the call has 1 arguments/);
  });

  it("of another copy of the package are refused, by name", async () => {
    const foreign = { isConcreteArray: true, type: { dtype: "float32", shape: [1] } };
    class Foreign {
      readonly isConcreteArray = true;
      readonly type = foreign.type;
    }
    await expect(jit(double, { device })(new Foreign() as never)).rejects.toThrow(DTypeError);
    await expect(jit(double, { device })(new Foreign() as never)).rejects.toThrow(
      /argument 0 is an array of another copy/,
    );
    await expect(device.run((x: Tracer) => add(x, new Foreign() as never), 1)).rejects.toThrow(
      /float32\[1\] array that the function closed over is an array of another copy of @banach\/autograd/,
    );
  });

  it("match the program of the call before only in structure and types", async () => {
    const f = jit((tree: unknown) => Object.values(tree as Record<string, Tracer>).reduce((a, b) => add(a, b)), {
      device,
    });
    const value = async (tree: unknown): Promise<unknown> => {
      using y = await f(tree);
      return (await y.read()).toNested();
    };
    expect(await value({ a: 1, b: 2 })).toBe(3);
    expect(await value({ b: 4, a: 3 })).toBe(7);
    expect(await value({ a: 1, c: 2 })).toBe(3);
    expect(await value({ a: 1, c: [1] }).catch(() => "refused")).toBe("refused");
    expect(await value([1, 2, 3])).toBe(6);
    expect(await value({ a: array([1, 2]), c: 1 })).toEqual([2, 3]);
    expect(await value({ a: array([1, 2, 3]), c: true })).toEqual([2, 3, 4]);
  });
});

describe("inside a traced function", () => {
  it("a jitted function throws at once, with a remedy", async () => {
    const f = jit(double, { device, label: "f" });
    const outer = jit((x: Tracer) => (void f(x as never), x), { device });
    await expect(outer(1)).rejects.toThrow(TraceError);
    await expect(outer(1)).rejects.toThrow(/f is jitted .* call the plain function, not the jitted one/);
    await expect(device.run((x: Tracer) => (void device.run(double, x as never), x), 1)).rejects.toThrow(TraceError);
    expect(() => makeGraph((x: Tracer) => (makeGraph(double, 1), x), 1)).toThrow(/makeGraph cannot be called inside/);
  });

  it("results must not be promises", async () => {
    const late = async (x: Tracer): Promise<Tracer> => {
      await Promise.resolve();
      return double(x);
    };
    await expect(device.run(late as never, 1 as never)).rejects.toThrow(/traced functions must be synchronous/);
    const thenable = { then: () => undefined };
    expect(() => makeGraph(() => thenable)).toThrow(/got a Promise; traced functions must be synchronous/);
  });
});

describe("devices", () => {
  it("refuse to put what lives on another device, by place", async () => {
    const other = await reference();
    const x = other.put(array([1]));
    const tree = { a: array([1]), b: [x] };
    expect(() => device.put(tree)).toThrow(BackendUnavailableError);
    expect(() => device.put(tree)).toThrow(/put: argument 0 \('b.0'\) lives on another device/);
    expect(device.memory().liveBuffers).toBe(0);
    using mine = device.put(array([1]));
    expect(device.put([mine])[0]).toBe(mine);
    await other[Symbol.asyncDispose]();
  });

  it("keep nothing of a tree that does not fit", async () => {
    const tight = await reference({ maxBytes: 10 });
    expect(() => tight.put([array([1]), array([2]), array([3])])).toThrow(OutOfMemoryError);
    expect(tight.memory().liveBuffers).toBe(0);
  });

  it("dispose their programs, and refuse to run what still waits for one", async () => {
    let disposed = 0;
    const backend = referenceBackend();
    const counting = new Device({
      ...backend,
      compile: async (...given) => {
        const executable = await backend.compile(...given);
        const dispose = executable[Symbol.dispose].bind(executable);
        return Object.assign(executable, {
          [Symbol.dispose]: () => {
            disposed++;
            dispose();
          },
        });
      },
    });
    (await counting.run(double, 1)).dispose();
    const waiting = counting.run((x: Tracer) => add(x, 1), 1);
    const refused = expect(waiting).rejects.toThrow(/was disposed/);
    await counting[Symbol.asyncDispose]();
    await refused;
    expect([disposed, counting.compiledPrograms]).toEqual([2, 0]);
  });

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
