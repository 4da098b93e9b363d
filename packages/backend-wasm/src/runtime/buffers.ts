/** The buffers of one WASM backend: blocks of its memory, and the account of them. */
import {
  allocateHost,
  BufferBooks,
  byteLengthOf,
  type HostArray,
  type MemoryStats,
  OutOfMemoryError,
  OwnedBuffer,
  sizeOf,
  type TensorType,
} from "@banach/autograd/backend";
import type { Heap } from "./heap.ts";

export class WasmBuffer extends OwnedBuffer {
  readonly space: BufferSpace;
  /** Byte address in the memory. */
  readonly address: number;

  constructor(space: BufferSpace, type: TensorType, address: number) {
    super(space, type);
    this.space = space;
    this.address = address;
  }

  protected release(): void {
    if (!this.space.isLost) this.space.heap.release(this.address, this.byteLength);
  }
}

/** Memory, who has what of it, and how it looks from JavaScript. */
export class BufferSpace extends BufferBooks<WasmBuffer> {
  readonly heap: Heap;

  constructor(heap: Heap) {
    super();
    this.heap = heap;
  }

  get stats(): MemoryStats {
    return this.statsWith(this.heap.idleBytes);
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
      this.enter(buffers);
      this.notePeak(extra);
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
    const inPieces = this.heap.mightHold([...types.map(byteLengthOf), extra]) ? ", as what is free is in pieces" : "";
    const why = cause instanceof Error ? `, as the engine refuses to grow it (${cause.message})` : inPieces;
    return new OutOfMemoryError(
      `${what}: does not fit in memory${why}; dispose arrays or use a smaller batch; ${this.held()}`,
      {
        requested,
        limit,
        live: this.liveBytes,
      },
    );
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
