/** A real device with faults that are planted: memory that runs out, submissions and shaders that are refused, a loss. */
/// <reference types="@webgpu/types" preserve="true" />
import type { Backend } from "@banach/autograd/backend";
import { webgpuBackend } from "../../src/index.ts";
import { findGpu } from "../../src/platform/find-gpu.ts";
import type { LimitName } from "../../src/platform/open-device.ts";
import { openOwnDevice } from "./support.ts";

/** Known by its name, as the real one is. */
class GPUOutOfMemoryError {
  readonly message: string;
  constructor(message: string) {
    this.message = message;
  }
}

class GPUValidationError {
  readonly message: string;
  constructor(message: string) {
    this.message = message;
  }
}

interface Scope {
  readonly filter: GPUErrorFilter;
  error: GPUError | null;
}

export class FakeDevice {
  /** What the backend is given. */
  readonly device: GPUDevice;
  /** The device itself. */
  readonly real: GPUDevice;
  /** Which buffers there is no memory for. */
  refused: (descriptor: GPUBufferDescriptor) => boolean = () => false;
  /** What is wrong with the next submission. */
  nextSubmission: string | null = null;
  /** Ends every shader. */
  appended: string | ((code: string) => string) = "";
  /** Whether `destroy` was called. */
  isDestroyed = false;
  /** Buffers that are not destroyed. */
  readonly buffers = new Set<GPUBuffer>();
  private readonly scopes: Scope[] = [];
  private readonly listeners = new Set<(event: GPUUncapturedErrorEvent) => void>();
  private lose: (info: GPUDeviceLostInfo) => void = () => undefined;

  /** @param limits that it says it has, instead of its own */
  constructor(real: GPUDevice, limits: Readonly<Partial<Record<LimitName, number>>> = {}) {
    this.real = real;
    const lost = new Promise<GPUDeviceLostInfo>((resolve) => {
      this.lose = resolve;
    });
    void real.lost.then(this.lose);
    const queue = overridden(real.queue, {
      submit: (commands: GPUCommandBuffer[]) => {
        if (this.nextSubmission !== null) this.report("validation", new GPUValidationError(this.nextSubmission));
        else real.queue.submit(commands);
        this.nextSubmission = null;
      },
    });
    this.device = overridden(real, {
      queue,
      lost,
      limits: overridden(real.limits, limits),
      createBuffer: (descriptor: GPUBufferDescriptor) => this.createBuffer(descriptor),
      createShaderModule: ({ code, ...rest }: GPUShaderModuleDescriptor) =>
        real.createShaderModule({
          ...rest,
          code: code + (typeof this.appended === "string" ? this.appended : this.appended(code)),
        }),
      pushErrorScope: (filter: GPUErrorFilter) => {
        real.pushErrorScope(filter);
        this.scopes.push({ filter, error: null });
      },
      popErrorScope: async () => {
        const scope = this.scopes.pop();
        return (await real.popErrorScope()) ?? scope?.error ?? null;
      },
      addEventListener: (name: "uncapturederror", listener: (event: GPUUncapturedErrorEvent) => void) => {
        real.addEventListener(name, listener);
        this.listeners.add(listener);
      },
      removeEventListener: (name: "uncapturederror", listener: (event: GPUUncapturedErrorEvent) => void) => {
        real.removeEventListener(name, listener);
        this.listeners.delete(listener);
      },
      destroy: () => {
        this.isDestroyed = true;
        real.destroy();
      },
    });
  }

  static async open(limits: Readonly<Partial<Record<LimitName, number>>> = {}): Promise<FakeDevice> {
    return new FakeDevice(await openOwnDevice(), limits);
  }

  /** A backend that takes the device for one that it has opened itself. */
  async openBackend(): Promise<Backend> {
    const gpu = await findGpu();
    const { requestAdapter } = gpu;
    gpu.requestAdapter = async (options) => {
      const adapter = await requestAdapter.call(gpu, options);
      return adapter === null ? null : overridden(adapter, { requestDevice: () => Promise.resolve(this.device) });
    };
    try {
      return await webgpuBackend();
    } finally {
      gpu.requestAdapter = requestAdapter;
    }
  }

  /** The device goes away as a driver that crashes makes it. */
  crash(message: string): void {
    this.lose({ reason: "unknown", message } as GPUDeviceLostInfo);
  }

  /** Reports an error as the device does: to the innermost scope for it, or to the listeners. */
  report(filter: GPUErrorFilter, error: GPUError): void {
    const scope = this.scopes.findLast((candidate) => candidate.filter === filter);
    if (scope !== undefined) scope.error ??= error;
    else for (const listener of this.listeners) listener({ error, preventDefault: () => undefined } as never);
  }

  get listening(): number {
    return this.listeners.size;
  }

  private createBuffer(descriptor: GPUBufferDescriptor): GPUBuffer {
    const { real } = this;
    if (this.refused(descriptor)) {
      this.report("out-of-memory", new GPUOutOfMemoryError(`no room for ${descriptor.label ?? ""}`));
      // Where there is no memory WebGPU gives a buffer all the same, which is invalid: this one because of its usage.
      real.pushErrorScope("validation");
      const invalid = real.createBuffer({ size: descriptor.size, usage: 0x0001 | 0x0080 });
      void real.popErrorScope();
      return invalid;
    }
    const buffer = real.createBuffer(descriptor);
    this.buffers.add(buffer);
    const destroy = buffer.destroy.bind(buffer);
    buffer.destroy = () => {
      this.buffers.delete(buffer);
      destroy();
    };
    return buffer;
  }
}

/** The object with some of its members replaced; methods run on the object itself. */
export function overridden<T extends object>(object: T, members: Partial<Record<keyof T, unknown>>): T {
  return new Proxy(object, {
    get: (target, name) => {
      if (Object.hasOwn(members, name)) return members[name as keyof T];
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}
