/** What users see of threads: the same bits for any number of them, a reason where there is one, and a clean end. */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import {
  ArgumentError,
  BackendLostError,
  grad,
  key,
  linearRecurrence,
  random,
  scan,
  stopGradient,
  take,
  type Tracer,
  whileLoop,
} from "@banach/autograd";
import { afterEach, describe, expect, it, vi } from "vitest";
import { wasm } from "../../src/index.ts";

const everything = { step: 0, program: 0 };

/** Every kind of kernel and loop: also a gather, whose gradient is a scatter, a recurrence, and a while by rows. */
function model({ w, v, xs }: { w: Tracer; v: Tracer; xs: Tracer }): Tracer {
  const step = (h: Tracer, x: Tracer): readonly [Tracer, Tracer] => {
    const next = h.matmul(w).add(x).tanh();
    return [next, next];
  };
  const [, states] = scan(step, xs.index(0, 0).mul(0), xs);
  const slow = linearRecurrence(states.logistic(), states.mul(0.1), { axis: 0 });
  const settled = stopGradient(
    whileLoop(
      (c: { y: Tracer; change: Tracer }) => c.change.greater(0.2),
      ({ y }) => ({ y: y.mul(0.5), change: y.abs().max({ axes: 1 }) }),
      { y: xs.index(0, 0), change: xs.index(0, 0).abs().max({ axes: 1 }) },
      { maxSteps: 9 },
    ).carry.y,
  );
  const chosen = take(v, stopGradient(states.argmax(2)), 0);
  const logits = states.add(slow).add(settled).matmul(v).add(chosen);
  const shifted = logits.sub(logits.max({ axes: 2, keepDims: true }));
  return shifted.exp().sum({ axes: 2 }).log().sum().add(states.mul(states).mean());
}

const keys = random.split(key(7), 3);
const parameters = {
  w: random.normal(keys[0]!, [19, 19], { stddev: 0.3 }),
  v: random.normal(keys[1]!, [19, 61], { stddev: 0.3 }),
  xs: random.normal(keys[2]!, [5, 48, 19]),
};

async function gradients(threads: number): Promise<readonly ArrayLike<number>[]> {
  await using device = await wasm({ threads, grain: everything });
  const gradient = await device.get(await device.run(grad(model), parameters));
  return [gradient.w.data, gradient.v.data, gradient.xs.data];
}

it("gradients have the same bits for any number of threads", async () => {
  const one = await gradients(1);
  expect(one.every((data) => Array.from(data).some((x) => x !== 0))).toBe(true);
  for (const threads of [2, 3, 5]) expect(await gradients(threads)).toEqual(one);
});

describe("the number of threads", () => {
  afterEach(() => {
    vi.unstubAllGlobals();
  });

  it("is in the notes, with a reason", async () => {
    await using two = await wasm({ threads: 2 });
    expect(two.notes).toEqual(["2 threads: as asked for"]);
    await using one = await wasm({ threads: 1 });
    expect(one.notes).toEqual(["1 thread: as asked for"]);
  });

  it("is one where memory cannot be shared, and the notes say so", async () => {
    vi.stubGlobal("SharedArrayBuffer", undefined);
    await using device = await wasm({ threads: 4 });
    expect(device.notes[0]).toMatch(/^1 thread: there is no SharedArrayBuffer; a page must be cross-origin isolated/);
  });

  it.each([0, -1, 1.5, Number.NaN])("is not %d", async (threads) => {
    await expect(wasm({ threads })).rejects.toThrow(ArgumentError);
  });
});

it("a device that is disposed of while it compiles says so", async () => {
  const device = await wasm({ threads: 2, grain: everything });
  const square = device.run((x: Tracer) => x.matmul(x), random.normal(key(1), [64, 64]));
  const [outcome] = await Promise.all([
    square.then(
      () => "done",
      (error: unknown) => error,
    ),
    device[Symbol.asyncDispose](),
  ]);
  expect(outcome).toBeInstanceOf(BackendLostError);
  expect(await device.lost).toMatchObject({ reason: "destroyed" });
});

it("devices come and go", async () => {
  const xs = random.normal(key(1), [64, 64]);
  const square = (x: Tracer): Tracer => x.matmul(x);
  let bits: ArrayLike<number> | undefined;
  for (let i = 0; i < 10; i++) {
    await using device = await wasm({ threads: 2, grain: everything });
    const { data } = await device.get(await device.run(square, xs));
    bits ??= data;
    expect(data).toEqual(bits);
  }
});

/** Runs the script beside this test in a process of its own. */
function run(script: string): Promise<{ readonly code: number | null; readonly output: string }> {
  const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
  const child = spawn(process.execPath, [path("../../../../scripts/run-ts.mjs"), path(script)]);
  let output = "";
  child.stdout.on("data", (chunk) => (output += String(chunk)));
  child.stderr.on("data", (chunk) => (output += String(chunk)));
  return new Promise((resolve) => {
    child.on("close", (code) => {
      resolve({ code, output });
    });
  });
}

it("a process ends though its threads wait for more, and does not end while a program is compiled", async () => {
  const { code, output } = await run("./leaves-threads-behind.ts");
  expect(output).toContain("2 threads");
  expect(output).toContain("done 20");
  expect(code).toBe(0);
});
