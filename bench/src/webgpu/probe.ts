/** What anybody in this process, or on this page, sends to WebGPU: seen by way of the classes of the API. */

/** Of one piece of work. */
export interface Sent {
  readonly dispatches: number;
  readonly submits: number;
  /** Buffers mapped, to be read by the host. */
  readonly reads: number;
  /** Milliseconds between the beginning and the end of compute passes, all together; null where that is not known. */
  readonly deviceTime: number | null;
}

type Method = (this: never, ...args: never[]) => unknown;

/** Replaces a method of a class; returns how it is put back. */
export function patch<C extends object, K extends keyof C & string>(
  prototype: C,
  name: K,
  by: (original: C[K]) => C[K],
): () => void {
  const original = prototype[name];
  prototype[name] = by(original);
  return () => {
    prototype[name] = original;
  };
}

/** Counts around a method, which it then calls. */
export const noting =
  <F extends Method>(note: (self: ThisParameterType<F>, args: Parameters<F>) => void) =>
  (original: F): F =>
    function (this: ThisParameterType<F>, ...args: Parameters<F>) {
      note(this, args);
      return original.apply(this as never, args as never);
    } as unknown as F;

/** Runs work with counters in place. They cost time: what is measured by a clock runs without. */
export async function sentBy(work: () => unknown, { timestamps = false } = {}): Promise<Sent> {
  let [dispatches, submits, reads] = [0, 0, 0];
  const stamps = timestamps ? new Stamps() : null;
  const undo = [
    patch(
      GPUComputePassEncoder.prototype,
      "dispatchWorkgroups",
      noting(() => dispatches++),
    ),
    patch(
      GPUComputePassEncoder.prototype,
      "dispatchWorkgroupsIndirect",
      noting(() => dispatches++),
    ),
    patch(
      GPUQueue.prototype,
      "submit",
      noting(() => submits++),
    ),
    patch(
      GPUBuffer.prototype,
      "mapAsync",
      noting(() => reads++),
    ),
    ...(stamps?.install() ?? []),
  ];
  try {
    await work();
  } finally {
    for (const put of undo) put();
  }
  return { dispatches, submits, reads, deviceTime: (await stamps?.total()) ?? null };
}

/** Pairs of timestamps that a query set holds. */
const PAIRS = 2048;

interface StampSet {
  readonly device: GPUDevice;
  readonly queries: GPUQuerySet;
  used: number;
}

/** Timestamps at both ends of every compute pass of devices that can. */
class Stamps {
  private readonly devices = new WeakMap<GPUCommandEncoder, GPUDevice>();
  private readonly sets: StampSet[] = [];
  private isComplete = true;

  install(): readonly (() => void)[] {
    // eslint-disable-next-line @typescript-eslint/no-this-alias -- the replaced method has a `this` of its own
    const stamps = this;
    return [
      patch(
        GPUDevice.prototype,
        "createCommandEncoder",
        (original) =>
          function (this: GPUDevice, descriptor) {
            const encoder = original.call(this, descriptor);
            stamps.devices.set(encoder, this);
            return encoder;
          },
      ),
      patch(
        GPUCommandEncoder.prototype,
        "beginComputePass",
        (original) =>
          function (this: GPUCommandEncoder, descriptor) {
            const timestampWrites = stamps.writesFor(this);
            return original.call(this, timestampWrites ? { ...descriptor, timestampWrites } : descriptor);
          },
      ),
    ];
  }

  private writesFor(encoder: GPUCommandEncoder): GPUComputePassTimestampWrites | null {
    const device = this.devices.get(encoder);
    if (device?.features.has("timestamp-query") !== true) {
      this.isComplete = false;
      return null;
    }
    let set = this.sets.find((set) => set.device === device && set.used < PAIRS);
    if (set === undefined) {
      set = { device, queries: device.createQuerySet({ type: "timestamp", count: 2 * PAIRS }), used: 0 };
      this.sets.push(set);
    }
    const index = 2 * set.used++;
    return { querySet: set.queries, beginningOfPassWriteIndex: index, endOfPassWriteIndex: index + 1 };
  }

  async total(): Promise<number | null> {
    let nanoseconds = 0n;
    for (const { device, queries, used } of this.sets) {
      const size = 16 * used;
      const resolved = device.createBuffer({ size, usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC });
      const staging = device.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
      const commands = device.createCommandEncoder();
      commands.resolveQuerySet(queries, 0, 2 * used, resolved, 0);
      commands.copyBufferToBuffer(resolved, 0, staging, 0, size);
      device.queue.submit([commands.finish()]);
      await staging.mapAsync(GPUMapMode.READ);
      const times = new BigUint64Array(staging.getMappedRange());
      for (let i = 0; i < times.length; i += 2) nanoseconds += (times[i + 1] ?? 0n) - (times[i] ?? 0n);
      staging.unmap();
      for (const used of [queries, resolved, staging]) used.destroy();
    }
    return this.isComplete && this.sets.length > 0 ? Number(nanoseconds) / 1e6 : null;
  }
}

/** Adapters of the devices that were made since, for people; makes devices with timestamps where the adapter has them. */
export function watchDevices(): { readonly adapters: ReadonlySet<string>; readonly undo: () => void } {
  const adapters = new Set<string>();
  const undo = patch(
    GPUAdapter.prototype,
    "requestDevice",
    (original) =>
      function (this: GPUAdapter, descriptor = {}) {
        adapters.add(nameOf(this));
        const asked = [...(descriptor.requiredFeatures ?? [])];
        const more = this.features.has("timestamp-query") && !asked.includes("timestamp-query");
        const requiredFeatures: GPUFeatureName[] = more ? [...asked, "timestamp-query"] : asked;
        return original.call(this, { ...descriptor, requiredFeatures });
      },
  );
  return { adapters, undo };
}

function nameOf({ info }: GPUAdapter): string {
  const { vendor, architecture, device, description } = info;
  const parts = [vendor, architecture, description === "" ? device : description];
  return parts.filter((part) => part !== "").join(" ") || "an adapter without a name";
}
