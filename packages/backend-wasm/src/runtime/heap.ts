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

const roundUp = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

/** The address of every block without bytes. */
const NOWHERE = ALIGNMENT;

/** Blocks of one memory, handed out by best fit. The words of the threads come before them; address 0 is never given. */
export class Heap {
  readonly memory: WasmMemory;
  /** In order of addresses; no two of them touch each other or the end. */
  private readonly free: Block[] = [];
  private readonly maxBytes: number;
  /** Everything from here on is free. */
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

  /** Whether blocks of these sizes would fit if what is free were in one piece. */
  mightHold(sizes: readonly number[]): boolean {
    const needed = sizes.reduce((sum, bytes) => sum + roundUp(bytes), 0);
    return roundUp(CONTROL_BYTES) + this.used + needed <= this.maxBytes;
  }

  /**
   * The address of a new block. Throws OutOfMemoryError, with nothing changed, if it does not fit; `label` says what for.
   * The memory may be grown, so views of its buffer have to be made anew.
   */
  allocate(bytes: number, label: string): number {
    if (bytes === 0) return NOWHERE;
    const size = roundUp(bytes);
    const at = this.bestFit(size);
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
    if (bytes === 0) return;
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
    // What touches the end becomes part of it, so that a later block may start here however large it is.
    const isLast = stop === this.end;
    if (isLast) this.end = start;
    const joined = isLast ? [] : [{ offset: start, bytes: stop - start }];
    this.free.splice(joinsBefore ? at - 1 : at, Number(joinsBefore) + Number(joinsAfter), ...joined);
  }

  /** Index of the smallest free block that is large enough, or -1. */
  private bestFit(size: number): number {
    let best = -1;
    let least = Infinity;
    this.free.forEach(({ bytes }, i) => {
      if (bytes < size || bytes >= least) return;
      best = i;
      least = bytes;
    });
    return best;
  }

  private grow(size: number, label: string): void {
    const needed = this.end + size;
    if (needed > this.maxBytes) {
      throw new OutOfMemoryError(label, { requested: size, limit: this.maxBytes, live: this.used });
    }
    const present = this.memory.buffer.byteLength;
    const missing = needed - present;
    if (missing <= 0) return;
    // Growing by at least an eighth keeps the number of growths small.
    const wanted = Math.max(missing, Math.min(present / 8, this.maxBytes - present));
    if (this.growBy(wanted) === null) return;
    const cause = this.growBy(missing);
    if (cause === null) return;
    const refused = new OutOfMemoryError(label, { requested: size, limit: present, live: this.used });
    throw Object.assign(refused, { cause });
  }

  /** Makes the memory larger by so many bytes at least; returns the engine's error if it refuses. */
  private growBy(bytes: number): unknown {
    try {
      this.memory.grow(Math.ceil(bytes / pageBytes));
      return null;
    } catch (cause) {
      return cause;
    }
  }
}
