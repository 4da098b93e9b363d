/** The memory that all programs of a backend share: one WebAssembly memory, grown when needed, with a free list. */
import { OutOfMemoryError } from "@banach/autograd/backend";
import { CONTROL_BYTES } from "../threads/index.ts";
import { maxPages, pageBytes, webAssembly, type WasmMemory } from "../wasm/index.ts";

/** Every block starts and ends at a multiple of this, so that vectors of a block share no cache line with another. */
const ALIGNMENT = 64;

interface Block {
  readonly offset: number;
  readonly bytes: number;
}

const roundUp = (bytes: number): number => Math.max(ALIGNMENT, Math.ceil(bytes / ALIGNMENT) * ALIGNMENT);

/** Blocks of one memory, handed out by first fit. The words of the threads come before them; address 0 is never given. */
export class Heap {
  readonly memory: WasmMemory;
  private readonly free: Block[] = [];
  private readonly maxBytes: number;
  private end = roundUp(CONTROL_BYTES);
  private used = 0;

  /** @param shared whether other threads see the memory */
  constructor(maxBytes: number, shared = false) {
    const api = webAssembly();
    if (api === undefined) throw new RangeError("there is no WebAssembly here");
    this.maxBytes = Math.min(maxBytes, maxPages * pageBytes);
    const maximum = Math.max(1, Math.ceil(this.maxBytes / pageBytes));
    this.memory = new api.Memory(shared ? { initial: 1, maximum, shared } : { initial: 1 });
  }

  /** Bytes handed out. */
  get usedBytes(): number {
    return this.used;
  }

  /** Bytes of the memory that are not handed out. */
  get idleBytes(): number {
    return this.memory.buffer.byteLength - this.used;
  }

  /**
   * The address of a new block. Throws OutOfMemoryError, with nothing changed, if it does not fit; `label` says what for.
   * The memory may be grown, so views of its buffer have to be made anew.
   */
  allocate(bytes: number, label: string): number {
    const size = roundUp(bytes);
    const at = this.free.findIndex((block) => block.bytes >= size);
    const block = this.free[at];
    if (block !== undefined) {
      const rest = { offset: block.offset + size, bytes: block.bytes - size };
      this.free.splice(at, 1, ...(rest.bytes > 0 ? [rest] : []));
      this.used += size;
      return block.offset;
    }
    this.grow(size, label);
    const offset = this.end;
    this.end += size;
    this.used += size;
    return offset;
  }

  /** Gives a block back; `bytes` as it was asked for. */
  release(offset: number, bytes: number): void {
    const size = roundUp(bytes);
    this.used -= size;
    const next = this.free.findIndex((block) => block.offset > offset);
    const at = next === -1 ? this.free.length : next;
    const before = this.free[at - 1];
    const after = this.free[at];
    const joinsBefore = before !== undefined && before.offset + before.bytes === offset;
    const joinsAfter = after !== undefined && offset + size === after.offset;
    const start = joinsBefore ? before.offset : offset;
    const stop = joinsAfter ? after.offset + after.bytes : offset + size;
    this.free.splice(joinsBefore ? at - 1 : at, Number(joinsBefore) + Number(joinsAfter), {
      offset: start,
      bytes: stop - start,
    });
  }

  private grow(size: number, label: string): void {
    const needed = this.end + size;
    if (needed > this.maxBytes) {
      throw new OutOfMemoryError(label, { requested: size, limit: this.maxBytes, live: this.used });
    }
    const missing = needed - this.memory.buffer.byteLength;
    if (missing <= 0) return;
    // Growing by at least an eighth keeps the number of growths small.
    const wanted = Math.max(
      missing,
      Math.min(this.memory.buffer.byteLength >> 3, this.maxBytes - this.memory.buffer.byteLength),
    );
    try {
      this.memory.grow(Math.ceil(wanted / pageBytes));
    } catch (cause) {
      throw new OutOfMemoryError(`${label}: the engine refuses to grow its memory: ${String(cause)}`, {
        requested: size,
        limit: this.memory.buffer.byteLength,
        live: this.used,
      });
    }
  }
}
