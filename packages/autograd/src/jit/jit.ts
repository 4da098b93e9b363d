/** jit: a function of trees becomes one that runs compiled programs on a device, one per structure and types of its arguments. */
import { ArgumentError, BackendUnavailableError, DonatedBufferError } from "../errors.ts";
import type { ConcreteArray } from "../ir/concrete-array.ts";
import { formatType } from "../ir/tensor-type.ts";
import { optimize } from "../passes/index.ts";
import type { Buffer, Executable } from "../runtime/backend.ts";
import { DeviceArray } from "../runtime/device-array.ts";
import { HostTensor } from "../runtime/host-tensor.ts";
import type { Tracer } from "../trace/tracer.ts";
import { formatTreeDef, type MapTree, type TreeDef, unflatten } from "../trace/tree.ts";
import type { Device } from "./device.ts";
import { type Concrete, type ConcreteLeaf, flattenArguments, traceFunction } from "./make-graph.ts";

/** Results as the caller receives them: the same trees with device arrays in the place of tracers. */
export type Resident<T> = MapTree<T, Tracer, DeviceArray>;

export interface JitOptions {
  readonly device: Device;
  /** Indices of arguments whose device arrays the program may reuse; they cannot be used afterwards. */
  readonly donate?: readonly number[];
  /** Appears in errors, the leak report and profiles; default the function's name. */
  readonly label?: string;
}

export type Jitted<A extends readonly unknown[], R> = (...args: Concrete<A>) => Promise<Resident<R>>;

interface Program {
  readonly executable: Executable;
  readonly outputDef: TreeDef;
  readonly captured: readonly ConcreteLeaf[];
}

/**
 * Compiles f on first use for each structure and types of its arguments. f must be synchronous and pure: it is traced
 * once, and what it closes over is what it closed over then. Host data in the arguments is copied to the device for the
 * run; device arrays are borrowed, or taken over if donated. The results are owned by the caller.
 */
export function jit<A extends readonly unknown[], R>(f: (...args: A) => R, options: JitOptions): Jitted<A, R> {
  const { device, donate = [] } = options;
  const label = options.label ?? (f.name === "" ? "a jitted function" : f.name);
  const programs = new Map<string, Promise<Program>>();
  for (const argument of donate) {
    if (!Number.isInteger(argument) || argument < 0) {
      throw new ArgumentError(`jit: donate lists indices of arguments, got ${argument}`);
    }
  }

  const prepare = async (leaves: readonly ConcreteLeaf[], def: TreeDef): Promise<Program> => {
    const types = leaves.map(({ value }) => value.type);
    const { graph, outputDef, captured } = traceFunction(f, def, types);
    const donated = leaves.flatMap(({ argument }, i) => (donate.includes(argument) ? [i] : []));
    const executable = await device.executable(optimize(graph), { donate: donated, label });
    return { executable, outputDef, captured: captured.map((value) => capturedLeaf(device, value, label)) };
  };

  return async (...args) => {
    const { leaves, def } = flattenArguments(args);
    const key = `${formatTreeDef(def)} ${leaves.map(({ value }) => formatType(value.type)).join(" ")}`;
    let program = programs.get(key);
    if (program === undefined) {
      program = prepare(leaves, def);
      programs.set(key, program);
      program.catch(() => programs.delete(key));
    }
    const { executable, outputDef, captured } = await program;
    const outputs = await runProgram(device, executable, [...leaves, ...captured], label);
    return unflatten(outputDef, outputs) as Resident<R>;
  };
}

/** A captured host tensor is copied to the device once and stays there with the program. */
function capturedLeaf(device: Device, value: ConcreteArray, label: string): ConcreteLeaf {
  const name = `a ${formatType(value.type)} array that ${label} closed over`;
  const resident = value instanceof HostTensor ? device.adopt(device.write(value), name) : (value as DeviceArray);
  return { value: resident, name, argument: -1 };
}

async function runProgram(
  device: Device,
  executable: Executable,
  leaves: readonly ConcreteLeaf[],
  label: string,
): Promise<readonly DeviceArray[]> {
  const uploaded: Buffer[] = [];
  try {
    requireDistinctDonations(executable, leaves, label);
    const buffers = leaves.map(({ value, name }) => {
      if (value instanceof DeviceArray) return borrowFrom(device, value, `${label}: ${name}`);
      const buffer = device.write(value);
      uploaded.push(buffer);
      return buffer;
    });
    const { outputs } = await executable.run(buffers);
    // Only now: a run that failed has taken nothing, and the caller may try again with less.
    leaves.forEach(({ value }, i) => {
      if (executable.donated.has(i) && value instanceof DeviceArray) value.donateTo(`'${label}'`);
    });
    return outputs.map((buffer) => device.adopt(buffer, label));
  } finally {
    for (const buffer of uploaded) buffer[Symbol.dispose]();
  }
}

function borrowFrom(device: Device, array: DeviceArray, use: string): Buffer {
  const buffer = array.borrow(use);
  if (array.backend !== device.backend) {
    throw new BackendUnavailableError(
      `${use} lives on another device (${array.backend.name}); copy it with device.put(await array.read())`,
    );
  }
  return buffer;
}

/** An array may be given away only once, and not be read by the same call. */
function requireDistinctDonations(executable: Executable, leaves: readonly ConcreteLeaf[], label: string): void {
  for (const i of executable.donated) {
    const leaf = leaves[i];
    const twin = leaves.findIndex(({ value }, j) => j !== i && value === leaf?.value && value instanceof DeviceArray);
    if (leaf !== undefined && twin !== -1) {
      throw new DonatedBufferError(
        `${label}: ${leaf.name} is donated and is also ${leaves[twin]?.name ?? ""}; pass two arrays`,
      );
    }
  }
}
