/** Copies of the host tensors that jitted functions close over: one per tensor, shared by all programs of a device. */
import type { HostArray } from "../ir/tensor-type.ts";
import type { DeviceArray } from "../runtime/device-array.ts";
import type { HostTensor } from "../runtime/host-tensor.ts";
import type { Upload } from "./program.ts";

interface Shared extends Upload {
  /** Of the data at the time. */
  readonly checksum: number;
  /** Programs that have not given it back. */
  users: number;
}

/**
 * A copy lives until every program has given it back or its tensor is garbage, which tells that the programs that held
 * it are, too: functions made in passing need no disposal. A tensor that was changed since gets a second copy, so that a
 * function sees what it closes over when it is traced.
 */
export class Uploads {
  private readonly copy: (tensor: HostTensor) => DeviceArray;
  private readonly latest = new WeakMap<HostTensor, Shared>();
  private readonly registry = new FinalizationRegistry<DeviceArray>((array) => array.dispose());

  constructor(copy: (tensor: HostTensor) => DeviceArray) {
    this.copy = copy;
  }

  /** Throws what copying throws. */
  retain(tensor: HostTensor): Upload {
    const known = this.latest.get(tensor);
    const checksum = checksumOf(tensor.data);
    if (known?.checksum === checksum) {
      known.users++;
      return known;
    }
    const made: Shared = { tensor, array: this.copy(tensor), checksum, users: 1 };
    this.latest.set(tensor, made);
    this.registry.register(tensor, made.array, made.array);
    return made;
  }

  /** Ends one `retain`. */
  release(upload: Upload): void {
    const shared = upload as Shared;
    shared.users--;
    if (shared.users > 0) return;
    if (this.latest.get(shared.tensor) === shared) this.latest.delete(shared.tensor);
    this.registry.unregister(shared.array);
    shared.array.dispose();
  }
}

/** Differs whenever one element does; else by chance, 1 in 2^32. */
function checksumOf(data: HostArray): number {
  const words =
    data.byteLength % 4 === 0 && data.byteOffset % 4 === 0
      ? new Uint32Array(data.buffer, data.byteOffset, data.byteLength / 4)
      : new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  let sum = 0;
  for (const word of words) sum = Math.imul(sum ^ word, 0x01000193);
  return sum;
}
