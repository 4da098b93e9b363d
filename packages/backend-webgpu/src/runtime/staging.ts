/** Reading back: data goes through buffers that the host can map, which are kept for the next time. */
import { BufferUsage, MapMode } from "../platform/constants.ts";
import type { Allocation, Memory } from "./memory.ts";

/** Bytes to copy to the host. */
export interface Source {
  readonly gpu: GPUBuffer;
  readonly offset: number;
  /** A multiple of 4. */
  readonly bytes: number;
}

/** Copies that are encoded. */
export interface Copied {
  readonly staging: Allocation;
  readonly bytes: number;
}

/** Bytes of the largest staging buffer that is kept. */
const KEPT = 2 ** 24;

export class Staging {
  private readonly memory: Memory;
  private readonly idle = new Map<number, Allocation[]>();
  private readonly pending = new Set<Promise<void>>();

  constructor(memory: Memory) {
    this.memory = memory;
  }

  /** Encodes copies to a staging buffer, one source after the other. */
  copy(commands: GPUCommandEncoder, sources: readonly Source[]): Copied {
    const bytes = sources.reduce((sum, source) => sum + source.bytes, 0);
    const size = Math.max(256, 2 ** Math.ceil(Math.log2(bytes)));
    const staging = this.idle.get(size)?.pop() ?? this.make(size);
    let offset = 0;
    for (const source of sources) {
      commands.copyBufferToBuffer(source.gpu, source.offset, staging.gpu, offset, source.bytes);
      offset += source.bytes;
    }
    return { staging, bytes };
  }

  /** What was copied, once that is submitted. Rejects with OutOfMemoryError, or as `mapAsync` does: when the device is lost. */
  read(copied: Copied): Promise<ArrayBuffer> {
    return this.track(this.map(copied));
  }

  /** Notes what reads until it has ended. */
  track<T>(reading: Promise<T>): Promise<T> {
    const ended: Promise<void> = reading.then(
      () => undefined,
      () => undefined,
    );
    this.pending.add(ended);
    void ended.then(() => this.pending.delete(ended));
    return reading;
  }

  /** Resolves when all that was being read is read, or has failed. */
  async ended(): Promise<void> {
    await Promise.all(this.pending);
  }

  private async map({ staging, bytes }: Copied): Promise<ArrayBuffer> {
    const { gpu, made } = staging;
    const { device } = this.memory;
    try {
      // Where there is no memory, that is said once.
      if (made !== null) device.pushErrorScope("validation");
      const mapped = gpu.mapAsync(MapMode.READ, 0, bytes);
      if (made !== null) device.popErrorScope().catch(() => undefined);
      await mapped;
    } catch (error) {
      // Memory that is not there cannot be mapped either.
      throw (await staging.made) ?? error;
    }
    const data = gpu.getMappedRange(0, bytes).slice(0);
    gpu.unmap();
    if (staging.bytes > KEPT) gpu.destroy();
    else this.keep(staging);
    return data;
  }

  destroy(): void {
    for (const list of this.idle.values()) for (const { gpu } of list) gpu.destroy();
    this.idle.clear();
  }

  private make(size: number): Allocation {
    return this.memory.make(size, BufferUsage.MAP_READ | BufferUsage.COPY_DST, "memory to read through");
  }

  private keep(staging: Allocation): void {
    const list = this.idle.get(staging.bytes);
    if (list === undefined) this.idle.set(staging.bytes, [staging]);
    else list.push(staging);
  }
}
