import { OutOfMemoryError } from "@banach/autograd/backend";
import fc from "fast-check";
import { expect, it } from "vitest";
import { Heap } from "../../src/runtime/heap.ts";

const KIB = 1024;
const GIB = 2 ** 30;

function failure(work: () => unknown): OutOfMemoryError {
  try {
    work();
  } catch (error) {
    if (error instanceof OutOfMemoryError) return error;
    throw error;
  }
  throw new Error("there was memory");
}

it("hands out blocks that do not overlap, and has all of it back in one piece", () => {
  const action = fc.record({ bytes: fc.integer({ min: 0, max: 300 * KIB }), keep: fc.nat(12) });
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const heap = new Heap(8 * GIB);
      const idle = heap.idleBytes;
      const live: { readonly offset: number; readonly bytes: number }[] = [];
      for (const { bytes, keep } of actions) {
        const offset = heap.allocate(bytes, "block");
        expect(offset % 64).toBe(0);
        expect(offset).toBeGreaterThan(0);
        expect(offset + bytes).toBeLessThanOrEqual(heap.memory.buffer.byteLength);
        if (bytes > 0) {
          for (const other of live) {
            expect(offset + bytes <= other.offset || other.offset + other.bytes <= offset).toBe(true);
          }
        }
        live.push({ offset, bytes });
        while (live.length > keep) {
          const [old] = live.splice((keep * 7) % live.length, 1);
          heap.release(old!.offset, old!.bytes);
        }
      }
      for (const { offset, bytes } of live) heap.release(offset, bytes);
      expect(heap.usedBytes).toBe(0);
      const whole = heap.memory.buffer.byteLength;
      expect(heap.idleBytes).toBe(whole);
      heap.release(heap.allocate(whole - (65536 - idle) - KIB, "all of it"), whole - (65536 - idle) - KIB);
      expect(heap.memory.buffer.byteLength).toBe(whole);
    }),
    { numRuns: 60 },
  );
});

it("gives a block that is larger than all before the room of those that are gone", () => {
  const heap = new Heap(GIB);
  let most = 0;
  for (let bytes = 64 * KIB; bytes < 64 * KIB * KIB; bytes = Math.ceil(bytes * 1.3)) {
    heap.release(heap.allocate(bytes, "block"), bytes);
    most = bytes;
  }
  expect(heap.memory.buffer.byteLength).toBeLessThan(1.2 * most);
});

it("takes the hole that fits best, and nothing for no bytes", () => {
  const heap = new Heap(GIB);
  const sizes = [512, 64, 128, 64, 256, 64];
  const blocks = sizes.map((bytes) => ({ bytes, offset: heap.allocate(bytes, "block") }));
  const holes = [0, 2, 4].map((i) => blocks[i]!);
  for (const { offset, bytes } of holes) heap.release(offset, bytes);
  expect(heap.allocate(200, "block")).toBe(holes[2]!.offset);
  expect(heap.allocate(128, "block")).toBe(holes[1]!.offset);
  const used = heap.usedBytes;
  heap.release(heap.allocate(0, "nothing"), 0);
  expect(heap.usedBytes).toBe(used);
  expect(heap.allocate(512, "block")).toBe(holes[0]!.offset);
});

it.each([false, true])("holds 4 GiB and not a byte more, shared: %s", (shared) => {
  const heap = new Heap(Infinity, shared);
  const first = heap.allocate(64, "first");
  const second = heap.allocate(3 * GIB, "second");
  expect(second).toBe(first + 64);
  const rest = 4 * GIB - second - 3 * GIB;
  const used = heap.usedBytes;
  const error = failure(() => heap.allocate(rest + 1, "too much"));
  expect(error).toMatchObject({ requested: rest + 64, limit: 4 * GIB, live: used });
  expect(heap.usedBytes).toBe(used);
  const third = heap.allocate(rest, "third");
  expect(third + rest).toBe(4 * GIB);
  expect(heap.memory.buffer.byteLength).toBe(4 * GIB);
  const last = new Float32Array(heap.memory.buffer, 4 * GIB - 8, 2);
  last.set([1, 2]);
  heap.release(second, 3 * GIB);
  heap.release(third, rest);
  expect(heap.allocate(4 * GIB - second, "both")).toBe(second);
  expect([...last]).toEqual([1, 2]);
});

it("grows by an eighth at least, also beyond 2 GiB", () => {
  const heap = new Heap(Infinity);
  heap.allocate(2.5 * GIB, "most");
  const before = heap.memory.buffer.byteLength;
  heap.allocate(GIB / 8, "some");
  expect(heap.memory.buffer.byteLength).toBeGreaterThanOrEqual(before * 1.125);
});

it("asks for no more than it needs where the engine gives no more, and says what the engine says", () => {
  const heap = new Heap(Infinity);
  const { memory } = heap;
  heap.allocate(8 * 1024 * KIB, "most");
  const present = memory.buffer.byteLength;
  const grow = memory.grow.bind(memory);
  // The engine of a small machine: it has so much and two pages.
  memory.grow = (pages) => {
    if (memory.buffer.byteLength + pages * 65536 > present + 2 * 65536) throw new RangeError("no memory left");
    return grow(pages);
  };
  heap.allocate(65536, "a page");
  expect(memory.buffer.byteLength).toBeLessThanOrEqual(present + 2 * 65536);
  const error = failure(() => heap.allocate(1024 * KIB, "too much"));
  expect(error.limit).toBe(memory.buffer.byteLength);
  expect(error.cause).toMatchObject({ message: "no memory left" });
});
