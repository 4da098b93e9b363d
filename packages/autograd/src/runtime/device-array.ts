/** Device arrays: what users own on a device. They are disposed, donated or kept; nothing else is ever owned. */
import { DisposedBufferError, DonatedBufferError } from "../errors.ts";
import type { ConcreteArray } from "../ir/concrete-array.ts";
import { type DType, formatType, type Shape, type TensorType } from "../ir/tensor-type.ts";
import type { Backend, Buffer } from "./backend.ts";
import { type HostTensor, hostTensor } from "./host-tensor.ts";

/** Owners of device arrays, told when one is given up. */
export interface ArrayOwner {
  readonly backend: Backend;
  released(array: DeviceArray): void;
}

/** How an array stands to the outside. A claimed one is gone, too, unless the run that claimed it fails. */
type Standing = "live" | "claimed" | "donated" | "disposed";

/** A tensor on a device. Use `using`, `dispose()`, or donate it to a jitted function. */
export class DeviceArray implements ConcreteArray, Disposable {
  readonly isConcreteArray = true as const;
  readonly type: TensorType;
  private readonly owner: ArrayOwner;
  private readonly buffer: Buffer;
  private standing: Standing = "live";
  /** The program that it was given to. */
  private donee = "";
  /** Calls that have yet to read the buffer; it is freed after the last of them. */
  private holds = 0;
  private disposeIfReturned = false;

  constructor(owner: ArrayOwner, buffer: Buffer) {
    this.type = buffer.type;
    this.owner = owner;
    this.buffer = buffer;
  }

  get shape(): Shape {
    return this.type.shape;
  }

  get dtype(): DType {
    return this.type.dtype;
  }

  get isLive(): boolean {
    return this.standing === "live";
  }

  /** The backend it lives on. */
  get backend(): Backend {
    return this.owner.backend;
  }

  /**
   * Throws DisposedBufferError or DonatedBufferError unless the array is live; `use` names what it was wanted for.
   */
  requireLive(use: string): void {
    if (this.standing === "live") return;
    const what = `${use}: this ${formatType(this.type)} array was`;
    if (this.standing === "disposed")
      throw new DisposedBufferError(`${what} disposed; dispose an array after its last use`);
    throw new DonatedBufferError(`${what} donated to ${this.donee}; use the array which that returned instead`);
  }

  /**
   * The buffer of a live array, for a run that may start later: it outlives dispose() until as many calls of `letGo`.
   * Programs use it; `requireLive` comes first.
   */
  hold(): Buffer {
    this.holds++;
    return this.buffer;
  }

  /** Ends one `hold`. */
  letGo(): void {
    this.holds--;
    if (this.holds === 0 && this.standing === "disposed") this.buffer[Symbol.dispose]();
  }

  /**
   * The buffer of a live array, for a run that takes it over: from here on the array counts as donated to `donee`, which
   * errors mention. The run ends it with `settleClaim`.
   */
  claim(donee: string): Buffer {
    this.standing = "claimed";
    this.donee = donee;
    return this.buffer;
  }

  /** Ends a claim: the program owns the buffer; or, where it took nothing, the array is as it was. */
  settleClaim(): void {
    if (this.buffer.state === "donated") {
      this.standing = "donated";
      this.owner.released(this);
      return;
    }
    this.standing = "live";
    if (this.disposeIfReturned) this.dispose();
  }

  /** A copy on the host. Waits for pending work. */
  async read(): Promise<HostTensor> {
    this.requireLive("read");
    const buffer = this.hold();
    try {
      return hostTensor(this.type, await this.owner.backend.read(buffer));
    } finally {
      this.letGo();
    }
  }

  /** The only element, as a number. Throws ShapeError unless there is exactly one. */
  async item(): Promise<number> {
    return (await this.read()).item();
  }

  /** Frees the memory, after the runs that were already asked for. Harmless when it is gone already. */
  dispose(): void {
    if (this.standing === "claimed") this.disposeIfReturned = true;
    if (this.standing !== "live") return;
    this.standing = "disposed";
    this.owner.released(this);
    if (this.holds === 0) this.buffer[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  toString(): string {
    return `DeviceArray<${formatType(this.type)}${this.isLive ? "" : ", gone"}>`;
  }
}
