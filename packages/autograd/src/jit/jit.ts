/** jit: a function of trees becomes one that runs compiled programs on a device, one per structure and types of its arguments. */
import { ArgumentError, TraceError } from "../errors.ts";
import { formatType } from "../ir/tensor-type.ts";
import { optimize } from "../passes/index.ts";
import type { DeviceArray } from "../runtime/device-array.ts";
import { HostTensor } from "../runtime/host-tensor.ts";
import { isTracing } from "../trace/builder.ts";
import type { Tracer } from "../trace/tracer.ts";
import { formatTreeDef, type MapTree, unflatten } from "../trace/tree.ts";
import { type Concrete, type FlatArguments, flattenArguments, matchArguments, type Value } from "./arguments.ts";
import type { Device } from "./device.ts";
import { traceFunction } from "./make-graph.ts";
import { type Program, RunInputs, type Upload } from "./program.ts";

/** Results as the caller receives them: the same trees with device arrays in the place of tracers. */
export type Resident<T> = MapTree<T, Tracer, DeviceArray>;

export interface JitOptions {
  readonly device: Device;
  /** Indices of arguments whose device arrays the program may reuse; they cannot be used afterwards. */
  readonly donate?: readonly number[];
  /** Appears in errors, the leak report and profiles; default the function's name. */
  readonly label?: string;
}

/**
 * A function that runs on a device. Disposing it drops its programs and the copies of host data that only they use; runs
 * that were asked for before are finished, and a later call prepares its program anew.
 */
export interface Jitted<A extends readonly unknown[], R> extends Disposable {
  (...args: Concrete<A>): Promise<Resident<R>>;
}

/**
 * Compiles f on first use for each structure and types of its arguments. f must be synchronous and pure: it is traced
 * once, and what it closes over is what it closed over then. Arguments are read during the call, not when its promise
 * settles: host data is copied then, device arrays may be disposed afterwards, and donated ones are taken over (unless
 * the run fails). The results are owned by the caller. Calls reject with ArgumentError if `donate` names an argument that
 * was not given, and throw TraceError inside a traced function.
 */
export function jit<A extends readonly unknown[], R>(f: (...args: A) => R, options: JitOptions): Jitted<A, R> {
  const { device, donate = [] } = options;
  const label = options.label ?? (f.name === "" ? "a jitted function" : f.name);
  const programs = new Map<string, Program>();
  let recent: Program | null = null;
  for (const argument of donate) {
    if (!Number.isInteger(argument) || argument < 0) {
      throw new ArgumentError(`jit: donate lists indices of arguments, got ${argument}`);
    }
  }

  const prepare = (key: string, { values, owners, def }: FlatArguments, count: number): Program => {
    const absent = donate.find((argument) => argument >= count);
    if (absent !== undefined) {
      throw new ArgumentError(`${label}: donate lists argument ${absent}, but the call has ${count} arguments`);
    }
    const types = values.map(({ type }) => type);
    const { graph, outputDef, captured } = traceFunction(f, def, types);
    const donates = owners.map((argument) => donate.includes(argument));
    const donated = donates.flatMap((donates, i) => (donates ? [i] : []));
    const compiled = device.executable(optimize(graph), { donate: donated, label });
    const { arrays, uploads } = uploadCaptured(device, captured);
    const program: Program = {
      label,
      def,
      types,
      donates,
      donatesAny: donated.length > 0,
      captured: arrays,
      uploads,
      outputDef,
      compiled,
      executable: null,
    };
    programs.set(key, program);
    compiled.then(
      (executable) => (program.executable = executable),
      () => {
        // A failed compilation is not kept, so that the next call may try again.
        if (programs.get(key) !== program) return;
        programs.delete(key);
        drop(program);
      },
    );
    return program;
  };

  const drop = (program: Program): void => {
    if (recent === program) recent = null;
    for (const upload of program.uploads) device.releaseUpload(upload);
  };

  const find = (args: readonly unknown[]): { readonly program: Program; readonly values: readonly Value[] } => {
    const matched = recent === null ? null : matchArguments(args, recent.def, recent.types);
    if (recent !== null && matched !== null) return { program: recent, values: matched };
    const flat = flattenArguments(args);
    const key = `${formatTreeDef(flat.def)} ${flat.values.map(({ type }) => formatType(type)).join(" ")}`;
    const program = programs.get(key) ?? prepare(key, flat, args.length);
    recent = program;
    return { program, values: flat.values };
  };

  // Up to its first `await` it runs within the call.
  const start = async (args: readonly unknown[]): Promise<Resident<R>> => {
    const { program, values } = find(args);
    const inputs = new RunInputs(device, program, args, values);
    try {
      const { outputs } = await device.launch(program, inputs.buffers);
      const arrays = outputs.map((buffer) => device.adopt(buffer, label));
      return unflatten(program.outputDef, arrays) as Resident<R>;
    } finally {
      inputs.giveBack();
    }
  };

  const jitted = (...args: Concrete<A>): Promise<Resident<R>> => {
    // Thrown and not rejected: nobody inside a traced function awaits a promise.
    if (isTracing()) {
      throw new TraceError(
        `${label} is jitted and was called inside a traced function; call the plain function, not the jitted one, there`,
      );
    }
    return start(args);
  };
  const dispose = (): void => {
    const dropped = [...programs.values()];
    programs.clear();
    dropped.forEach(drop);
  };
  return Object.assign(jitted, { [Symbol.dispose]: dispose });
}

/** Captured host tensors are copied to the device, once each. Throws OutOfMemoryError; then none is kept. */
function uploadCaptured(
  device: Device,
  captured: readonly Value[],
): { readonly arrays: readonly DeviceArray[]; readonly uploads: readonly Upload[] } {
  const uploads: Upload[] = [];
  try {
    const arrays = captured.map((value) => {
      if (!(value instanceof HostTensor)) return value;
      const upload = device.upload(value);
      uploads.push(upload);
      return upload.array;
    });
    return { arrays, uploads };
  } catch (error) {
    for (const upload of uploads) device.releaseUpload(upload);
    throw error;
  }
}
