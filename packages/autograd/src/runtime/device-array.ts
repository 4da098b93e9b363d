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

/** A tensor on a device. Use `using`, `dispose()`, or donate it to a jitted function. */
export class DeviceArray implements ConcreteArray, Disposable {
  readonly isConcreteArray = true as const;
  readonly type: TensorType;
  private readonly owner: ArrayOwner;
  private buffer: Buffer | null;
  private end = "";

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
    return this.buffer !== null;
  }

  /** The backend it lives on. */
  get backend(): Backend {
    return this.owner.backend;
  }

  /**
   * The buffer, for running programs. `use` names the argument in the error when the array is no longer live.
   * Throws DisposedBufferError or DonatedBufferError.
   */
  borrow(use: string): Buffer {
    if (this.buffer !== null) return this.buffer;
    const what = `${use}: this ${formatType(this.type)} array was`;
    if (this.end === "") throw new DisposedBufferError(`${what} disposed; dispose an array after its last use`);
    throw new DonatedBufferError(`${what} donated to ${this.end}; use the array which that returned instead`);
  }

  /** A copy on the host. Waits for pending work. */
  async read(): Promise<HostTensor> {
    return hostTensor(this.type, await this.owner.backend.read(this.borrow("read")));
  }

  /** The only element, as a number. Throws ShapeError unless there is exactly one. */
  async item(): Promise<number> {
    return (await this.read()).item();
  }

  /** Frees the memory. Harmless when it is gone already. */
  dispose(): void {
    const { buffer } = this;
    if (buffer === null) return;
    this.release();
    buffer[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** Gives the array up to a program, whose name later errors mention. The program now owns the buffer. */
  donateTo(program: string): void {
    this.end = program;
    this.release();
  }

  private release(): void {
    this.buffer = null;
    this.owner.released(this);
  }

  toString(): string {
    return `DeviceArray<${formatType(this.type)}${this.isLive ? "" : ", gone"}>`;
  }
}
