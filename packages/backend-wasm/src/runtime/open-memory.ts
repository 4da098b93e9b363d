/** The memory of a backend, and the threads that share it. */
import { ArgumentError } from "@banach/autograd/backend";
import { coreCount, ThreadPool } from "../threads/index.ts";
import { probeFeatures } from "../wasm/index.ts";
import { Heap } from "./heap.ts";

/** Threads of a backend that is not told how many; more of them wait for memory rather than compute. */
const MOST_BY_DEFAULT = 8;

export interface OpenMemory {
  readonly heap: Heap;
  /** Null for one thread. */
  readonly pool: ThreadPool | null;
  /** How many threads, and why. */
  readonly note: string;
}

/** The memory and the threads that share it; one thread and its own memory where there cannot be more. */
export async function openMemory(maxBytes: number, wanted: number | undefined): Promise<OpenMemory> {
  if (wanted !== undefined && !(Number.isInteger(wanted) && wanted >= 1)) {
    throw new ArgumentError(`wasm: threads must be a whole number from 1, got ${wanted}`);
  }
  const cores = await coreCount();
  const size = wanted ?? Math.min(cores, MOST_BY_DEFAULT);
  const one = (why: string): OpenMemory => ({ heap: new Heap(maxBytes), pool: null, note: `1 thread: ${why}` });
  if (size === 1) return one(wanted === undefined ? "there is one core" : "as asked for");
  if (!probeFeatures().sharedMemory) {
    return one(
      "there is no SharedArrayBuffer; a page must be cross-origin isolated (COOP and COEP headers) to have it",
    );
  }
  try {
    const heap = new Heap(maxBytes, true);
    const pool = await ThreadPool.start(heap.memory, size);
    return { heap, pool, note: `${size} threads: ${wanted === undefined ? `${cores} cores` : "as asked for"}` };
  } catch (error) {
    return one(`the others did not start: ${error instanceof Error ? error.message : String(error)}`);
  }
}
