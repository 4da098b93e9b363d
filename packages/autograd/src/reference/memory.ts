/** The buffers of one reference backend and the account of their bytes. */
import {
  ArgumentError,
  BackendLostError,
  DisposedBufferError,
  DonatedBufferError,
  OutOfMemoryError,
} from "../errors.ts";
import { byteLengthOf, formatType, type HostArray, type TensorType } from "../ir/tensor-type.ts";
import type { Buffer, BufferState, MemoryStats } from "../runtime/backend.ts";

export class HostBuffer implements Buffer {
  readonly type: TensorType;
  readonly byteLength: number;
  readonly memory: Memory;
  private held: HostArray | undefined;
  private end: "donated" | "disposed" = "disposed";

  /** Made by `Memory.own`, which enters it in the books. */
  constructor(memory: Memory, type: TensorType, data: HostArray) {
    this.memory = memory;
    this.type = type;
    this.byteLength = byteLengthOf(type);
    this.held = data;
  }

  get state(): BufferState {
    if (this.held === undefined) return this.end;
    return this.memory.isLost ? "lost" : "live";
  }

  /** Throws DisposedBufferError or DonatedBufferError, which say `what`, if the data are gone. */
  data(what: string): HostArray {
    if (this.held !== undefined) return this.held;
    const culprit = `${what}, ${formatType(this.type)},`;
    if (this.end === "disposed") throw new DisposedBufferError(`${culprit} was disposed`);
    throw new DonatedBufferError(`${culprit} was donated to an earlier run; use what that run returned instead`);
  }

  donate(): void {
    this.drop("donated");
  }

  [Symbol.dispose](): void {
    this.drop("disposed");
  }

  private drop(end: "donated" | "disposed"): void {
    if (this.held === undefined) return;
    this.held = undefined;
    this.end = end;
    this.memory.release(this.byteLength);
  }
}

export class Memory {
  private readonly maxBytes: number;
  private readonly maxBufferBytes: number;
  private liveBuffers = 0;
  private liveBytes = 0;
  private peakBytes = 0;
  private lost = false;

  constructor(maxBytes: number, maxBufferBytes: number) {
    this.maxBytes = maxBytes;
    this.maxBufferBytes = maxBufferBytes;
  }

  get isLost(): boolean {
    return this.lost;
  }

  get stats(): MemoryStats {
    return { liveBuffers: this.liveBuffers, liveBytes: this.liveBytes, peakBytes: this.peakBytes, pooledBytes: 0 };
  }

  /** From here on every buffer is lost. */
  lose(): void {
    this.lost = true;
    this.liveBuffers = 0;
    this.liveBytes = 0;
  }

  requirePresent(what: string): void {
    if (this.lost) throw new BackendLostError(`${what}: the reference backend was disposed`);
  }

  /** The buffer as one of this backend's own. */
  ownBuffer(buffer: Buffer | undefined, what: string): HostBuffer {
    if (buffer instanceof HostBuffer && buffer.memory === this) return buffer;
    throw new ArgumentError(`${what} is no buffer of this backend; read it where it belongs and write it here`);
  }

  /**
   * Runs `allocate`, which makes buffers of the given types and needs so many bytes besides. Throws OutOfMemoryError,
   * before it does anything, if they do not fit.
   */
  reserve<T>(what: string, types: readonly TensorType[], temporaryBytes: number, allocate: () => T): T {
    const sizes = types.map(byteLengthOf);
    const requested = sizes.reduce((sum, bytes) => sum + bytes, temporaryBytes);
    const bytes = { requested, limit: this.maxBytes, live: this.liveBytes };
    if (this.liveBytes + requested > this.maxBytes || sizes.some((size) => size > this.maxBufferBytes)) {
      throw new OutOfMemoryError(`${what}: does not fit in memory; dispose buffers or raise maxBytes`, bytes);
    }
    this.peakBytes = Math.max(this.peakBytes, this.liveBytes + requested);
    try {
      return allocate();
    } catch (error) {
      // What engines throw when an array buffer cannot be had.
      if (!(error instanceof RangeError)) throw error;
      throw new OutOfMemoryError(`${what}: the system has no more memory`, bytes);
    }
  }

  /** Makes a live buffer of data that nobody else writes. */
  own(type: TensorType, data: HostArray): HostBuffer {
    const buffer = new HostBuffer(this, type, data);
    this.liveBuffers++;
    this.liveBytes += buffer.byteLength;
    return buffer;
  }

  /** Takes a buffer that has ended off the books. */
  release(bytes: number): void {
    if (this.lost) return;
    this.liveBuffers--;
    this.liveBytes -= bytes;
  }
}
