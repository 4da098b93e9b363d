/** Two threads on one shared memory: atomic counting against plain counting's losses, a lock-free sum, and wait and notify. */
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { ModuleBuilder, i32 } from "../../src/wasm/index.ts";
import { WebAssembly, disassemble, instantiateOnly } from "./support.ts";

const limits = { min: 1, max: 1, shared: true } as const;

/** Word 0 counts; word 1 is a gate; word 2 says how many stand before it. */
function program(): Uint8Array<ArrayBuffer> {
  const m = new ModuleBuilder();
  m.importMemory("env", "memory", limits);
  const count = m.func("count", ["i32"], [], (f, times) => {
    // Wait until the gate opens, so that both run at once.
    f.i32.atomic_rmw_add(0, 1, 8);
    f.while_(
      () => i32.eqz(f.i32.atomic_load(0, 4)),
      () => f.memory.atomic_wait32(0, 0, -1n, 4),
    );
    f.range(0, times, 1, () => f.i32.atomic_rmw_add(0, 1));
  });
  const open = m.func("open", [], ["i32"], (f) => {
    f.i32.atomic_store(0, 1, 4);
    f.atomic.fence();
    return f.memory.atomic_notify(0, -1, 4);
  });
  // A lock of compare and exchange around a plain increment, at word 16.
  const guarded = m.func("guarded", ["i32"], [], (f, times) => {
    f.range(0, times, 1, () => {
      f.while_(
        () => f.i32.atomic_rmw_cmpxchg(0, 0, 1, 60),
        () => undefined,
      );
      f.i32.store(0, i32.add(i32.load(0, 64), 1), 64);
      f.i32.atomic_store(0, 0, 60);
    });
  });
  for (const func of [count, open, guarded]) m.export(func.name, func);
  return m.build();
}

const worker = `
  const { parentPort, workerData: { module, memory, times } } = require("node:worker_threads");
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  exports.count(times);
  exports.guarded(times);
  parentPort.postMessage("done");
`;

test("two threads count to the same sum", async () => {
  const bytes = program();
  disassemble(bytes);
  const module = new WebAssembly.Module(bytes);
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const words = new Int32Array(memory.buffer);
  const times = 100_000;
  const threads = [0, 1].map(() => new Worker(worker, { eval: true, workerData: { module, memory, times } }));
  const ends = threads.map(
    (thread) =>
      new Promise<unknown>((resolve, reject) => {
        thread.once("message", resolve);
        thread.once("error", reject);
      }),
  );
  while (Atomics.load(words, 2) < 2) await new Promise((resolve) => setTimeout(resolve, 1));
  const woken = instantiateOnly(module, { env: { memory } })["open"]!() as number;
  expect(woken).toBeLessThanOrEqual(2);
  expect(await Promise.all(ends)).toEqual(["done", "done"]);
  expect(words[0]).toBe(2 * times);
  expect(words[16]).toBe(2 * times);
  await Promise.all(threads.map((thread) => thread.terminate()));
});
