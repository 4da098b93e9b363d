/** Programs wherever buffers may lie: addresses from 2 GiB on are negative numbers to JavaScript's bit operations. */
import { key, linearRecurrence, makeGraph, optimize, random, type Tracer } from "@banach/autograd";
import { type Buffer, byteLengthOf } from "@banach/autograd/backend";
import { reference } from "@banach/autograd/reference";
import { conformance, strictBudgets } from "@banach/autograd/testing";
import { describe, expect, it } from "vitest";
import { wasmBackend } from "../../src/runtime/backend.ts";
import { WasmBuffer } from "../../src/runtime/buffers.ts";
import { reserveUpTo, spaceOf } from "./reserve.ts";

const GIB = 2 ** 30;

describe.each([
  ["across 2 GiB", 2 * GIB - 2048],
  ["beyond 2 GiB", 2.5 * GIB],
  ["up to 4 GiB", 4 * GIB - 2 ** 20],
])("conformance %s", (_, address) => {
  const open = async () => {
    const backend = await wasmBackend({ threads: 1 });
    reserveUpTo(backend, address);
    return backend;
  };
  for (const { name, run } of conformance(open, { budgets: strictBudgets }).cases) it(name, run);
});

/** Of a matrix to another one of its shape, by every kind of kernel, with less room for temporaries than a matrix takes. */
const PROGRAMS: Readonly<Record<string, (x: Tracer) => Tracer>> = {
  map: (x) => x.tanh(),
  move: (x) => x.transpose(),
  reduce: (x) => x.sub(x.mean({ axes: 1, keepDims: true })),
  contract: (x) => x.slice([null, [0, 8]]).matmul(x.slice([[0, 8]])),
  recur: (x) => linearRecurrence(x.mul(0.1), x, { axis: 0, reverse: true }),
};

describe.each([1, 2])("the last bytes of 4 GiB, %i threads", (threads) => {
  const x = random.normal(key(1), [256, 256]);
  const bytes = byteLengthOf(x.type);
  const endOf = (buffer: unknown): number => (buffer instanceof WasmBuffer ? buffer.address + buffer.byteLength : 0);

  it.each(Object.entries(PROGRAMS))("can be read and written by kernels that %s", async (_, f) => {
    const expected = (await (await (await reference()).run(f, x)).read()).data;
    for (const atTheEnd of ["input", "output"] as const) {
      await using backend = await wasmBackend({ threads, grain: { step: 0, program: 0 } });
      const executable = await backend.compile(optimize(makeGraph(f, x)), { label: "program" });
      const { heap } = spaceOf(backend);
      // Small enough for what else there is, and too small for the output where that belongs at the end.
      const hole = atTheEnd === "input" ? 4 * bytes : bytes - 64;
      const early = heap.allocate(hole, "hole");
      const write = (): Buffer => backend.write(x.data, x.type);
      const before = atTheEnd === "output" ? write() : null;
      reserveUpTo(backend, 4 * GIB - bytes);
      const input = before ?? write();
      heap.release(early, hole);
      const [output] = (await executable.run([input])).outputs;
      expect(endOf(atTheEnd === "input" ? input : output)).toBe(4 * GIB);
      const actual = await backend.read(output!);
      expected.forEach((y, i) => expect(Math.abs(actual[i]! - y)).toBeLessThan(1e-4));
    }
  });
});
