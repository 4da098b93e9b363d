/** A function compiled for one structure and types of its arguments, and the inputs of one run of it. */
import { BackendUnavailableError, DonatedBufferError } from "../errors.ts";
import { formatType, type TensorType } from "../ir/tensor-type.ts";
import type { Buffer, Executable } from "../runtime/backend.ts";
import { DeviceArray } from "../runtime/device-array.ts";
import type { HostTensor } from "../runtime/host-tensor.ts";
import type { TreeDef } from "../trace/tree.ts";
import { flattenArguments, type Value } from "./arguments.ts";
import type { Device } from "./device.ts";

/** A host tensor that functions close over, copied to a device. */
export interface Upload {
  /** Held here, because the copy is freed with it. */
  readonly tensor: HostTensor;
  readonly array: DeviceArray;
}

export interface Program {
  readonly label: string;
  readonly def: TreeDef;
  readonly types: readonly TensorType[];
  /** Of the leaves of the arguments, and whether each is donated. */
  readonly donates: readonly boolean[];
  readonly donatesAny: boolean;
  /** What the function closed over; the inputs after the arguments' leaves. */
  readonly captured: readonly DeviceArray[];
  readonly uploads: readonly Upload[];
  readonly outputDef: TreeDef;
  readonly compiled: Promise<Executable>;
  /** What `compiled` resolved to; null before. */
  executable: Executable | null;
}

/**
 * The inputs of one run, taken at the moment of the call: host data is copied, device arrays are held or, if donated,
 * claimed, so that nothing the caller does while the program is compiled or run can change them.
 */
export class RunInputs {
  readonly buffers: Buffer[];
  private readonly held: DeviceArray[] = [];
  private readonly claimed: DeviceArray[] = [];
  private readonly uploaded: Buffer[] = [];

  /**
   * Throws DisposedBufferError, DonatedBufferError, BackendUnavailableError (an array of another device) or
   * OutOfMemoryError; then nothing has been taken.
   */
  constructor(device: Device, program: Program, args: readonly unknown[], values: readonly Value[]) {
    const { captured, donates, donatesAny, label } = program;
    const inputs = captured.length === 0 ? values : [...values, ...captured];
    this.buffers = new Array<Buffer>(inputs.length);
    const take = (value: Value, i: number): Buffer => {
      if (!(value instanceof DeviceArray)) {
        const buffer = device.write(value);
        this.uploaded.push(buffer);
        return buffer;
      }
      if (!value.isLive || value.backend !== device.backend) this.refuse(program, args, inputs, i);
      if (donates[i] === true) {
        this.claimed.push(value);
        return value.claim(`'${label}'`);
      }
      this.held.push(value);
      return value.hold();
    };
    try {
      // The donated ones first: whatever else is the same array then finds it taken.
      if (donatesAny) inputs.forEach((value, i) => donates[i] === true && (this.buffers[i] = take(value, i)));
      inputs.forEach((value, i) => donates[i] !== true && (this.buffers[i] = take(value, i)));
    } catch (error) {
      this.giveBack();
      throw error;
    }
  }

  /** After the run, or instead of it: what it took over is gone, and everything else as before. */
  giveBack(): void {
    for (const array of this.held) array.letGo();
    for (const array of this.claimed) array.settleClaim();
    for (const buffer of this.uploaded) buffer[Symbol.dispose]();
  }

  /** Throws what is wrong with a device array. */
  private refuse(program: Program, args: readonly unknown[], inputs: readonly Value[], at: number): never {
    const { donates, label } = program;
    const array = inputs[at] as DeviceArray;
    const name = (i: number): string =>
      i < donates.length ? flattenArguments(args).nameOf(i) : `the ${formatType(array.type)} array that it closed over`;
    if (this.claimed.includes(array)) {
      const first = inputs.indexOf(array);
      const [donated, other] = donates[first] === true ? [first, at] : [at, first];
      throw new DonatedBufferError(`${label}: ${name(donated)} is donated and is also ${name(other)}; pass two arrays`);
    }
    array.requireLive(`${label}: ${name(at)}`);
    throw new BackendUnavailableError(
      `${label}: ${name(at)} lives on another device (${array.backend.name}); copy it with device.put(await array.read())`,
    );
  }
}
