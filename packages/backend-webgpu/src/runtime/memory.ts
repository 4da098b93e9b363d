/** Memory of the device: allocations that are used again, and the account of the buffers that programs own. */
import {
  BufferBooks,
  formatType,
  type MemoryStats,
  OutOfMemoryError,
  OwnedBuffer,
  sizeOf,
  type TensorType,
} from "@banach/autograd/backend";
import { storageBytes } from "../codegen/layout.ts";
import { BufferUsage } from "../platform/constants.ts";
import { fromGpuError } from "./errors.ts";

/** Sizes of allocations are multiples of this many bytes, so that more of them can be used again. */
const GRAIN = 256;

/** Idle bytes that are kept at least, and as a share of what is live. */
const IDLE = { least: 2 ** 26, share: 1 };

/** Device memory that one buffer has at a time. */
export class Allocation {
  readonly gpu: GPUBuffer;
  readonly bytes: number;
  /** A number of its own: bind groups are known by those of what they bind. */
  readonly id: number;
  /** Resolves with what went wrong while it was made; null once that is known to be nothing. */
  made: Promise<Error | null> | null;

  constructor(gpu: GPUBuffer, bytes: number, id: number, made: Promise<Error | null>) {
    this.gpu = gpu;
    this.bytes = bytes;
    this.id = id;
    this.made = made;
  }
}

export class GpuBuffer extends OwnedBuffer {
  private readonly memory: Memory;
  readonly allocation: Allocation;
  /** Runs and reads that were asked for and are not on their way yet. */
  private pins = 0;

  constructor(memory: Memory, type: TensorType, allocation: Allocation) {
    super(memory, type);
    this.memory = memory;
    this.allocation = allocation;
  }

  /** Keeps the memory from being used again until `unpin`, also after disposal. */
  pin(): void {
    this.pins++;
  }

  unpin(): void {
    if (--this.pins === 0 && !this.isHeld) this.memory.recycle(this.allocation);
  }

  protected release(): void {
    if (this.pins === 0) this.memory.recycle(this.allocation);
  }
}

export class Memory extends BufferBooks<GpuBuffer> {
  readonly device: GPUDevice;
  /** Bytes of the largest buffer: as much as one binding binds. */
  readonly maxBufferBytes: number;
  private readonly idle = new Map<number, Allocation[]>();
  private idleBytes = 0;
  private arenaBytes = 0;
  private allocations = 0;

  constructor(device: GPUDevice) {
    super();
    this.device = device;
    const { maxStorageBufferBindingSize, maxBufferSize } = device.limits;
    // Whole words, of which storage consists.
    this.maxBufferBytes = Math.floor(Math.min(maxStorageBufferBindingSize, maxBufferSize) / 4) * 4;
  }

  get stats(): MemoryStats {
    return this.statsWith(this.idleBytes + this.arenaBytes);
  }

  override lose(why: string): void {
    super.lose(why);
    this.idle.clear();
    this.idleBytes = 0;
  }

  /** New buffers, all or none. Throws OutOfMemoryError for one that is larger than any may be. */
  create(what: string, types: readonly TensorType[]): GpuBuffer[] {
    const limit = this.maxBufferBytes;
    for (const type of types) {
      const requested = storageBytes(type.dtype, sizeOf(type.shape));
      if (requested > limit) throw this.tooLarge(`${what}: ${formatType(type)}`, requested, limit);
    }
    const buffers = types.map((type) => {
      const bytes = storageBytes(type.dtype, sizeOf(type.shape));
      return new GpuBuffer(this, type, this.allocate(bytes, what));
    });
    this.enter(buffers);
    return buffers;
  }

  private tooLarge(what: string, requested: number, limit: number): OutOfMemoryError {
    return new OutOfMemoryError(`${what} is larger than a buffer of this device may be`, {
      requested,
      limit,
      live: this.liveBytes,
    });
  }

  private allocate(bytes: number, what: string): Allocation {
    const size = Math.min(Math.ceil(bytes / GRAIN) * GRAIN, this.maxBufferBytes);
    const known = this.idle.get(size)?.pop();
    if (known !== undefined) {
      this.idleBytes -= size;
      return known;
    }
    const usage = BufferUsage.STORAGE | BufferUsage.COPY_SRC | BufferUsage.COPY_DST;
    return this.make(size, usage, what);
  }

  /** New memory, whoever it is for. */
  make(bytes: number, usage: number, what: string): Allocation {
    const { device } = this;
    device.pushErrorScope("validation");
    device.pushErrorScope("out-of-memory");
    const gpu = device.createBuffer({ size: bytes, usage, label: what });
    const caught = [device.popErrorScope(), device.popErrorScope()];
    const live = this.liveBytes;
    const made = Promise.all(caught).then(
      (errors) => {
        const error = errors.find((found) => found !== null) ?? null;
        if (error === null) {
          allocation.made = null;
          return null;
        }
        // Whoever tries again finds what was idle free.
        this.trim();
        return this.explain(error, what, bytes, live);
      },
      // A device that is lost says so itself.
      () => null,
    );
    const allocation = new Allocation(gpu, bytes, this.allocations++, made);
    return allocation;
  }

  /** What the device reported as the error that it is; of live tensors it names those that have their memory for sure. */
  explain(error: GPUError, what: string, requested: number, live: number = this.liveBytes): Error {
    const limit = this.maxBufferBytes;
    return fromGpuError(
      error,
      what,
      { requested, limit, live },
      this.held(({ allocation }) => allocation.made === null),
    );
  }

  /** Takes memory back. What is submitted later may write to it: the queue keeps the order. */
  recycle(allocation: Allocation): void {
    if (this.isLost) return;
    const { bytes, made } = allocation;
    if (made !== null) {
      void made.then((error) => {
        if (error === null) this.recycle(allocation);
        else allocation.gpu.destroy();
      });
      return;
    }
    if (this.idleBytes + bytes > IDLE.least + IDLE.share * this.liveBytes) {
      allocation.gpu.destroy();
      return;
    }
    const list = this.idle.get(bytes);
    if (list === undefined) this.idle.set(bytes, [allocation]);
    else list.push(allocation);
    this.idleBytes += bytes;
  }

  /** Notes what the arena of all programs has grown by. */
  noteArena(bytes: number): void {
    this.arenaBytes += bytes;
  }

  /** Gives everything that is idle back to the device. */
  trim(): void {
    for (const list of this.idle.values()) for (const { gpu } of list) gpu.destroy();
    this.idle.clear();
    this.idleBytes = 0;
  }

  /** Ends every buffer, where the device itself is somebody else's. */
  destroyAll(): void {
    for (const { allocation } of this.liveBuffers) allocation.gpu.destroy();
    this.trim();
  }
}
