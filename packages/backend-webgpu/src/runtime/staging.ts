/** Reading back: data goes through buffers that the host can map, which are kept for the next time. */
import { BufferUsage, MapMode } from "../platform/constants.ts";

/** Bytes to copy to the host. */
export interface Source {
  readonly gpu: GPUBuffer;
  readonly offset: number;
  /** A multiple of 4. */
  readonly bytes: number;
}

/** Copies that are encoded. */
export interface Copied {
  readonly staging: GPUBuffer;
  readonly bytes: number;
}

/** Bytes of the largest staging buffer that is kept. */
const KEPT = 2 ** 24;

export class Staging {
  private readonly device: GPUDevice;
  private readonly idle = new Map<number, GPUBuffer[]>();

  constructor(device: GPUDevice) {
    this.device = device;
  }

  /** Encodes copies to a staging buffer, one source after the other. */
  copy(commands: GPUCommandEncoder, sources: readonly Source[]): Copied {
    const bytes = sources.reduce((sum, source) => sum + source.bytes, 0);
    const size = Math.max(256, 2 ** Math.ceil(Math.log2(bytes)));
    const staging = this.idle.get(size)?.pop() ?? this.make(size);
    let offset = 0;
    for (const source of sources) {
      commands.copyBufferToBuffer(source.gpu, source.offset, staging, offset, source.bytes);
      offset += source.bytes;
    }
    return { staging, bytes };
  }

  /** What was copied, once that is submitted. Rejects as `mapAsync` does: when the device is lost. */
  async read({ staging, bytes }: Copied): Promise<ArrayBuffer> {
    await staging.mapAsync(MapMode.READ, 0, bytes);
    const data = staging.getMappedRange(0, bytes).slice(0);
    staging.unmap();
    if (staging.size > KEPT) staging.destroy();
    else this.keep(staging);
    return data;
  }

  destroy(): void {
    for (const list of this.idle.values()) for (const buffer of list) buffer.destroy();
    this.idle.clear();
  }

  private make(size: number): GPUBuffer {
    return this.device.createBuffer({ size, usage: BufferUsage.MAP_READ | BufferUsage.COPY_DST, label: "staging" });
  }

  private keep(staging: GPUBuffer): void {
    const list = this.idle.get(staging.size);
    if (list === undefined) this.idle.set(staging.size, [staging]);
    else list.push(staging);
  }
}
