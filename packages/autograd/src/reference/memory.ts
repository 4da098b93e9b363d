/** The buffers of one reference backend and the account of their bytes. */
import { OutOfMemoryError } from "../errors.ts";
import { byteLengthOf, type HostArray, type TensorType } from "../ir/tensor-type.ts";
import { BufferBooks, OwnedBuffer } from "../runtime/books.ts";

export class HostBuffer extends OwnedBuffer {
  private held: HostArray | undefined;

  /** Made by `Memory.make`, which enters it in the books. */
  constructor(memory: Memory, type: TensorType, data: HostArray) {
    super(memory, type);
    this.held = data;
  }

  /** Throws DisposedBufferError or DonatedBufferError, which say `what`, if the data are gone. */
  data(what: string): HostArray {
    this.requireLive(what);
    if (this.held === undefined) throw new RangeError(`${what}: a live buffer has data`);
    return this.held;
  }

  protected release(): void {
    this.held = undefined;
  }
}

export class Memory extends BufferBooks<HostBuffer> {
  private readonly maxBytes: number;
  private readonly maxBufferBytes: number;

  constructor(maxBytes: number, maxBufferBytes: number) {
    super();
    this.maxBytes = maxBytes;
    this.maxBufferBytes = maxBufferBytes;
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
    this.notePeak(requested);
    try {
      return allocate();
    } catch (error) {
      // What engines throw when an array buffer cannot be had.
      if (!(error instanceof RangeError)) throw error;
      throw new OutOfMemoryError(`${what}: the system has no more memory`, bytes);
    }
  }

  /** Makes a live buffer of data that nobody else writes. */
  make(type: TensorType, data: HostArray): HostBuffer {
    const buffer = new HostBuffer(this, type, data);
    this.enter([buffer]);
    return buffer;
  }
}
