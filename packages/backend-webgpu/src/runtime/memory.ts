/** Memory of the device: allocations that are used again, and the account of the buffers that programs own. */
import {
  ArgumentError,
  BackendLostError,
  type Buffer,
  type BufferState,
  byteLengthOf,
  DisposedBufferError,
  DonatedBufferError,
  formatType,
  type MemoryStats,
  OutOfMemoryError,
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

export class GpuBuffer implements Buffer {
  readonly type: TensorType;
  readonly byteLength: number;
  readonly owner: Memory;
  readonly allocation: Allocation;
  private end: "live" | "donated" | "disposed" = "live";
  /** Runs and reads that were asked for and are not on their way yet. */
  private pins = 0;

  constructor(owner: Memory, type: TensorType, allocation: Allocation) {
    this.owner = owner;
    this.type = type;
    this.byteLength = byteLengthOf(type);
    this.allocation = allocation;
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

  /** Keeps the memory from being used again until `unpin`, also after disposal. */
  pin(): void {
    this.pins++;
  }

  unpin(): void {
    if (--this.pins === 0 && this.end !== "live") this.owner.recycle(this.allocation);
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
    this.owner.forget(this);
    if (this.pins === 0) this.owner.recycle(this.allocation);
  }
}

export class Memory {
  readonly device: GPUDevice;
  private readonly live = new Set<GpuBuffer>();
  private liveBytes = 0;
  private peakBytes = 0;
  private readonly idle = new Map<number, Allocation[]>();
  private idleBytes = 0;
  private arenaBytes = 0;
  private allocations = 0;
  private lostBecause: string | null = null;

  constructor(device: GPUDevice) {
    this.device = device;
  }

  get isLost(): boolean {
    return this.lostBecause !== null;
  }

  get stats(): MemoryStats {
    return {
      liveBuffers: this.live.size,
      liveBytes: this.liveBytes,
      peakBytes: this.peakBytes,
      pooledBytes: this.isLost ? 0 : this.idleBytes + this.arenaBytes,
    };
  }

  /** From here on every buffer is lost; `why` is said whenever one is asked for. */
  lose(why: string): void {
    this.lostBecause ??= why;
    this.live.clear();
    this.liveBytes = 0;
    this.idle.clear();
    this.idleBytes = 0;
  }

  /** Throws BackendLostError if the device is gone. */
  requirePresent(what: string): void {
    if (this.lostBecause !== null) throw new BackendLostError(`${what}: ${this.lostBecause}`);
  }

  /** The buffer as one of this backend's own. */
  own(buffer: Buffer | undefined, what: string): GpuBuffer {
    if (buffer instanceof GpuBuffer && buffer.owner === this) return buffer;
    throw new ArgumentError(`${what} is no buffer of this backend; read it where it belongs and write it here`);
  }

  /** New buffers, all or none. Throws OutOfMemoryError for one that is larger than any may be. */
  create(what: string, types: readonly TensorType[]): GpuBuffer[] {
    const limit = this.device.limits.maxBufferSize;
    for (const type of types) {
      const requested = storageBytes(type.dtype, sizeOf(type.shape));
      if (requested > limit) throw this.tooLarge(`${what}: ${formatType(type)}`, requested, limit);
    }
    const buffers = types.map((type) => {
      const bytes = storageBytes(type.dtype, sizeOf(type.shape));
      return new GpuBuffer(this, type, this.allocate(bytes, what));
    });
    for (const buffer of buffers) {
      this.live.add(buffer);
      this.liveBytes += buffer.byteLength;
    }
    this.notePeak(0);
    return buffers;
  }

  /** Notes that a run needs so many bytes besides the buffers that are live. */
  notePeak(temporaryBytes: number): void {
    this.peakBytes = Math.max(this.peakBytes, this.liveBytes + temporaryBytes);
  }

  private tooLarge(what: string, requested: number, limit: number): OutOfMemoryError {
    return new OutOfMemoryError(`${what} is larger than a buffer of this device may be`, {
      requested,
      limit,
      live: this.liveBytes,
    });
  }

  private allocate(bytes: number, what: string): Allocation {
    const size = Math.ceil(bytes / GRAIN) * GRAIN;
    const known = this.idle.get(size)?.pop();
    if (known !== undefined) {
      this.idleBytes -= size;
      return known;
    }
    const usage = BufferUsage.STORAGE | BufferUsage.COPY_SRC | BufferUsage.COPY_DST;
    return this.make(size, usage, what);
  }

  /** Memory that the pool does not get back. */
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

  /** What the device reported as the error that it is. */
  explain(error: GPUError, what: string, requested: number, live: number = this.liveBytes): Error {
    const limit = this.device.limits.maxBufferSize;
    return fromGpuError(error, what, { requested, limit, live }, this.held);
  }

  /** The largest live tensors that have their memory for sure, for people. */
  private get held(): string {
    const held = [...this.live].filter(({ allocation }) => allocation.made === null);
    const largest = held.sort((a, b) => b.byteLength - a.byteLength).slice(0, 3);
    const names = largest.map(({ type, byteLength }) => `${formatType(type)} (${byteLength} bytes)`).join(", ");
    return names === "" ? "nothing is live" : `the largest live tensors are ${names}`;
  }

  /** Takes a buffer that has ended off the books. */
  forget(buffer: GpuBuffer): void {
    if (this.live.delete(buffer)) this.liveBytes -= buffer.byteLength;
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
    for (const { allocation } of this.live) allocation.gpu.destroy();
    this.trim();
  }
}
