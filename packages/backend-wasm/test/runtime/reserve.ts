/** Reaching the far end of a backend's memory without filling it: untouched pages of a memory cost nothing. */
import type { Backend } from "@banach/autograd/backend";
import { type BufferSpace, WasmBuffer } from "../../src/runtime/buffers.ts";

/** The space that a backend's buffers are in. */
export function spaceOf(backend: Backend): BufferSpace {
  using buffer = backend.write(Float32Array.of(0), { dtype: "float32", shape: [1] });
  if (buffer instanceof WasmBuffer) return buffer.space;
  throw new TypeError("no buffer of this backend");
}

/** Takes all of an unused memory up to an address, so that the next blocks start there. */
export function reserveUpTo(backend: Backend, address: number): void {
  const { heap } = spaceOf(backend);
  const start = heap.allocate(1, "start");
  heap.release(start, 1);
  heap.allocate(address - start, "reserve");
}
