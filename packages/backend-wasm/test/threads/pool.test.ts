/** The pool by itself: modules that say which thread ran them, barriers, and threads that die or do not start. */
import { afterEach, expect, it } from "vitest";
import { ThreadPool, Threads } from "../../src/threads/index.ts";
import { CONTROL_BYTES } from "../../src/threads/control.ts";
import { type FunctionBuilder, i32, maxPages, ModuleBuilder, webAssembly } from "../../src/wasm/index.ts";

const api = webAssembly()!;
const pools: ThreadPool[] = [];
afterEach(() => {
  return Promise.all(pools.splice(0).map((pool) => pool.stop()));
});

async function open(size: number) {
  const memory = new api.Memory({ initial: 2, maximum: maxPages, shared: true });
  const pool = await ThreadPool.start(memory, size);
  pools.push(pool);
  return { pool, words: new Int32Array(memory.buffer, CONTROL_BYTES), memory };
}

/** A module whose `run(table, thread)` has this body; the table is the address of its words. */
async function program(size: number, body: (f: FunctionBuilder, threads: Threads) => void) {
  const module = new ModuleBuilder();
  module.importMemory("env", "memory", { min: 0, max: maxPages, shared: true });
  const threads = new Threads(module, { size, firstMaySleep: true });
  const run = module.func("run", ["i32", "i32"], [], (f, _table, thread) => {
    threads.become(f, thread);
    body(f, threads);
    threads.barrier(f);
  });
  module.export("run", run);
  return api.compile(module.build());
}

async function prepare(
  { pool, memory }: Awaited<ReturnType<typeof open>>,
  module: Awaited<ReturnType<typeof program>>,
) {
  const { exports } = await api.instantiate(module, { env: { memory } });
  const own = exports["run"] as (table: number, thread: number) => void;
  const number = await pool.load(module);
  return {
    number,
    run: () => {
      pool.run(number, CONTROL_BYTES, () => {
        own(CONTROL_BYTES, 0);
      });
    },
  };
}

it.each([2, 3])("a run ends when all of %i threads have done their part", async (size) => {
  const host = await open(size);
  const units = 10;
  const { run } = await prepare(
    host,
    await program(size, (f, threads) => {
      const { from, count } = threads.part(f, units);
      f.range(from, i32.add(from, count), 1, (i) => {
        f.i32.store(i32.add(CONTROL_BYTES, i32.mul(i, 4)), i32.add(threads.number, 1));
      });
    }),
  );
  for (let i = 0; i < 1000; i++) {
    host.words.fill(0, 0, units);
    run();
    expect(host.words.slice(0, units)).not.toContain(0);
  }
  const shares = [...host.words.slice(0, units)];
  expect(shares).toEqual([...shares].sort());
  expect(new Set(shares).size).toBe(size);
});

it("a barrier separates what comes before it from what comes after", async () => {
  const host = await open(3);
  // Thread 0 counts in plain steps; the others copy what they see after each barrier.
  const rounds = 500;
  const { run } = await prepare(
    host,
    await program(3, (f, threads) => {
      f.range(0, rounds, 1, (i) => {
        threads.onFirst(f, () => {
          f.i32.store(CONTROL_BYTES, i32.add(i, 1));
        });
        threads.barrier(f);
        const seen = f.let(i32.add(CONTROL_BYTES, i32.mul(i32.add(threads.number, 1), 4)));
        f.i32.store(seen, i32.add(i32.load(seen), i32.eq(i32.load(i32.const(CONTROL_BYTES)), i32.add(i, 1))));
        threads.barrier(f);
      });
    }),
  );
  run();
  expect([...host.words.slice(1, 4)]).toEqual([rounds, rounds, rounds]);
});

it("programs are loaded and dropped while others run", async () => {
  const host = await open(2);
  const make = (mark: number) =>
    program(2, (f, threads) => {
      f.i32.store(i32.add(CONTROL_BYTES, i32.mul(threads.number, 4)), mark);
    });
  const first = await prepare(host, await make(1));
  const others = Array.from({ length: 20 }, async (_, i) => {
    const prepared = await prepare(host, await make(i + 2));
    prepared.run();
    expect([...host.words.slice(0, 2)]).toEqual([i + 2, i + 2]);
    host.pool.drop(prepared.number);
  });
  for (let i = 0; i < 50; i++) {
    first.run();
    expect([...host.words.slice(0, 2)]).toEqual([1, 1]);
    await Promise.resolve();
  }
  await Promise.all(others);
  first.run();
  expect([...host.words.slice(0, 2)]).toEqual([1, 1]);
});

it("a thread that dies ends the run with an error, not in a barrier for ever", async () => {
  const host = await open(2);
  const dies = (who: number) =>
    program(2, (f, threads) => {
      f.if_(i32.eq(threads.number, who), () => {
        f.unreachable();
      });
    });
  const { run } = await prepare(host, await dies(1));
  expect(run).toThrow(/unreachable/);

  const other = await open(2);
  const { run: runFirst } = await prepare(other, await dies(0));
  expect(runFirst).toThrow(/unreachable/);
});

it("threads that do not start leave a reason", async () => {
  const memory = new api.Memory({ initial: 1, maximum: 1, shared: true });
  await expect(ThreadPool.start(memory, 2, "throw new Error('no such luck')")).rejects.toThrow(/no such luck/);
  await expect(ThreadPool.start(memory, 2, "process.exit(3)")).rejects.toThrow(/has ended/);
});

it("a thread that ends is noticed by whoever waits for it, and by the next run", async () => {
  const memory = new api.Memory({ initial: 1, maximum: 1, shared: true });
  const source = `
    const { parentPort } = require("node:worker_threads");
    parentPort.on("message", ({ kind }) => (kind === "start" ? parentPort.postMessage({ kind: "done" }) : process.exit(1)));
  `;
  const pool = await ThreadPool.start(memory, 2, source);
  pools.push(pool);
  const module = await program(2, () => undefined);
  await expect(pool.load(module)).rejects.toThrow(/has ended/);
  expect(await pool.ended).toMatch(/has ended/);
  expect(() => {
    pool.run(1, 0, () => undefined);
  }).toThrow(/has ended/);
});

it("stopping answers those who wait", async () => {
  const { pool } = await open(2);
  const loading = pool.load(await program(2, () => undefined));
  const stopped = pool.stop();
  await expect(loading).rejects.toThrow(/stopped/);
  await stopped;
});
