/** The buffers of one WASM backend: blocks of its memory, and the account of them. */
import {
  allocateHost,
  ArgumentError,
  BackendLostError,
  type Buffer,
  type BufferState,
  byteLengthOf,
  DisposedBufferError,
  DonatedBufferError,
  formatType,
  type HostArray,
  type MemoryStats,
  OutOfMemoryError,
  sizeOf,
  type TensorType,
} from "@banach/autograd/backend";
import type { Heap } from "./heap.ts";

export class WasmBuffer implements Buffer {
  readonly type: TensorType;
  readonly byteLength: number;
  readonly owner: BufferSpace;
  /** Byte address in the memory. */
  readonly address: number;
  private end: "live" | "donated" | "disposed" = "live";

  constructor(owner: BufferSpace, type: TensorType, address: number) {
    this.owner = owner;
    this.type = type;
    this.byteLength = byteLengthOf(type);
    this.address = address;
  }

  get state(): BufferState {
    return this.end === "live" && this.owner.isLost ? "lost" : this.end;
  }

  /** Throws DisposedBufferError or DonatedBufferError, which say `what`, unless the buffer is live. */
  requireLive(what: string): void {
    if (this.end === "live") return;
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
    if (this.end !== "live") return;
    this.end = end;
    this.owner.release(this);
  }
}

/** Memory, who has what of it, and how it looks from JavaScript. */
export class BufferSpace {
  readonly heap: Heap;
  private readonly live = new Set<WasmBuffer>();
  private liveBytes = 0;
  private peakBytes = 0;
  private lostBecause: string | null = null;

  constructor(heap: Heap) {
    this.heap = heap;
  }

  get isLost(): boolean {
    return this.lostBecause !== null;
  }

  get stats(): MemoryStats {
    return {
      liveBuffers: this.live.size,
      liveBytes: this.liveBytes,
      peakBytes: this.peakBytes,
      pooledBytes: this.isLost ? 0 : this.heap.idleBytes,
    };
  }

  /** From here on every buffer is lost; `why` is said whenever one is asked for. */
  lose(why: string): void {
    this.lostBecause ??= why;
    this.live.clear();
    this.liveBytes = 0;
  }

  requirePresent(what: string): void {
    if (this.lostBecause !== null) throw new BackendLostError(`${what}: ${this.lostBecause}`);
  }

  /** The buffer as one of this backend's own. */
  own(buffer: Buffer | undefined, what: string): WasmBuffer {
    if (buffer instanceof WasmBuffer && buffer.owner === this) return buffer;
    throw new ArgumentError(`${what} is no buffer of this backend; read it where it belongs and write it here`);
  }

  /**
   * New buffers, all or none, and a block of `extra` bytes that is given back by the caller. Throws OutOfMemoryError that
   * names the largest live tensors.
   */
  create(what: string, types: readonly TensorType[], extra: number): { buffers: WasmBuffer[]; block: number } {
    const taken: { address: number; bytes: number }[] = [];
    const take = (bytes: number): number => {
      const address = this.heap.allocate(bytes, what);
      taken.push({ address, bytes });
      return address;
    };
    try {
      // Buffers first: they go where earlier ones have gone, and what is given back at once is the last block.
      const buffers = types.map((type) => new WasmBuffer(this, type, take(byteLengthOf(type))));
      const block = take(extra);
      for (const buffer of buffers) {
        this.live.add(buffer);
        this.liveBytes += buffer.byteLength;
      }
      this.peakBytes = Math.max(this.peakBytes, this.liveBytes + extra);
      return { buffers, block };
    } catch (error) {
      for (const { address, bytes } of taken) this.heap.release(address, bytes);
      throw error instanceof OutOfMemoryError ? this.explained(error, what, types, extra) : error;
    }
  }

  private explained(
    { limit, cause }: OutOfMemoryError,
    what: string,
    types: readonly TensorType[],
    extra: number,
  ): OutOfMemoryError {
    const requested = types.reduce((sum, type) => sum + byteLengthOf(type), extra);
    const largest = [...this.live].sort((a, b) => b.byteLength - a.byteLength).slice(0, 3);
    const names = largest.map(({ type, byteLength }) => `${formatType(type)} (${byteLength} bytes)`).join(", ");
    const held = names === "" ? "nothing is live" : `the largest live tensors are ${names}`;
    const inPieces = this.heap.mightHold([...types.map(byteLengthOf), extra]) ? ", as what is free is in pieces" : "";
    const why = cause instanceof Error ? `, as the engine refuses to grow it (${cause.message})` : inPieces;
    return new OutOfMemoryError(
      `${what}: does not fit in memory${why}; dispose arrays or use a smaller batch; ${held}`,
      {
        requested,
        limit,
        live: this.liveBytes,
      },
    );
  }

  /** Takes a buffer that has ended off the books. */
  release(buffer: WasmBuffer): void {
    if (!this.live.delete(buffer)) return;
    this.liveBytes -= buffer.byteLength;
    this.heap.release(buffer.address, buffer.byteLength);
  }

  /** Copies host data to an address. */
  write(address: number, type: TensorType, data: HostArray): void {
    this.view(address, type).set(data);
  }

  /** A copy of the data at an address. */
  read(address: number, type: TensorType): HostArray {
    const copy = allocateHost(type.dtype, sizeOf(type.shape));
    copy.set(this.view(address, type));
    return copy;
  }

  private view(address: number, { dtype, shape }: TensorType): HostArray {
    const { buffer } = this.heap.memory;
    const size = sizeOf(shape);
    switch (dtype) {
      case "float32":
        return new Float32Array(buffer, address, size);
      case "int32":
        return new Int32Array(buffer, address, size);
      case "uint32":
        return new Uint32Array(buffer, address, size);
      case "bool":
        return new Uint8Array(buffer, address, size);
      default:
        throw new RangeError(`${dtype} is not stored here`);
    }
  }
}
