/** Devices: a backend with its executable cache and the arrays on it. Users pick one in a line and keep it. */
import { BackendUnavailableError } from "../errors.ts";
import type { Graph } from "../ir/graph.ts";
import { printGraph } from "../ir/print.ts";
import type { Backend, BackendLostInfo, Buffer, Executable, MemoryStats, RunReport } from "../runtime/backend.ts";
import { type ArrayOwner, DeviceArray } from "../runtime/device-array.ts";
import type { HostTensor } from "../runtime/host-tensor.ts";
import { type Leak, LeakTracker } from "../runtime/leaks.ts";
import { flatten, type MapTree, unflatten } from "../trace/tree.ts";
import { type ArrayLike, type Concrete, flattenArguments } from "./arguments.ts";
import { jit, type Jitted, type Resident } from "./jit.ts";
import type { Program, Upload } from "./program.ts";
import { Uploads } from "./uploads.ts";

export interface CompileRequest {
  readonly donate: readonly number[];
  readonly label: string;
}

/** A place to run programs. Dispose it with `await using`; everything on it goes with it. */
export class Device implements AsyncDisposable {
  readonly backend: Backend;
  private readonly executables = new Map<string, Promise<Executable>>();
  private readonly jitted = new WeakMap<object, unknown>();
  private readonly tracker = new LeakTracker();
  private readonly owner: ArrayOwner;
  private readonly uploads: Uploads;
  /** Resolves when the last run that waits for its program has been started; null when none waits. */
  private turn: Promise<void> | null = null;

  constructor(backend: Backend) {
    this.backend = backend;
    this.owner = {
      backend,
      released: (array) => {
        this.tracker.forget(array);
      },
    };
    this.uploads = new Uploads((tensor) => new DeviceArray(this.owner, this.write(tensor)));
  }

  get name(): string {
    return this.backend.name;
  }

  /** What the backend chose when it started, and why, for people. */
  get notes(): readonly string[] {
    return this.backend.notes ?? [];
  }

  /** Resolves when the device is gone. */
  get lost(): Promise<BackendLostInfo> {
    return this.backend.lost;
  }

  /**
   * Traces f, compiles it (once per function and argument types) and runs it: `jit` for scripts. f must be pure, and
   * pass the same function object to profit from the cache. Arguments are read during the call; results are owned by
   * the caller. Throws TraceError inside a traced function.
   */
  run<A extends readonly unknown[], R>(f: (...args: A) => R, ...args: Concrete<A>): Promise<Resident<R>> {
    const known = this.jitted.get(f) as Jitted<A, R> | undefined;
    const compiled = known ?? jit(f, { device: this });
    if (known === undefined) this.jitted.set(f, compiled);
    return compiled(...args);
  }

  /**
   * Copies a tree of host data to the device; arrays that are there already stay as they are. Throws
   * BackendUnavailableError, naming the place, for an array of another device, and OutOfMemoryError; then nothing was
   * copied.
   */
  put<T>(tree: T): MapTree<T, ArrayLike, DeviceArray> {
    const { values, nameOf, def } = flattenArguments([tree]);
    const made: DeviceArray[] = [];
    try {
      const arrays = values.map((value, i) => {
        if (!(value instanceof DeviceArray)) {
          const array = this.adopt(this.write(value), `put, ${nameOf(i)}`);
          made.push(array);
          return array;
        }
        if (value.backend === this.backend) return value;
        throw new BackendUnavailableError(
          `put: ${nameOf(i)} lives on another device (${value.backend.name}); put what its read() resolves to`,
        );
      });
      const [moved] = unflatten(def, arrays) as [MapTree<T, ArrayLike, DeviceArray>];
      return moved;
    } catch (error) {
      for (const array of made) array.dispose();
      throw error;
    }
  }

  /** Copies a tree of device arrays to the host. Waits for pending work; the arrays stay. */
  async get<T>(tree: T): Promise<MapTree<T, DeviceArray, HostTensor>> {
    const { leaves, def } = flatten(tree);
    const read = await Promise.all(leaves.map(({ leaf }) => (leaf instanceof DeviceArray ? leaf.read() : leaf)));
    return unflatten(def, read) as MapTree<T, DeviceArray, HostTensor>;
  }

  /** Disposes every device array in a tree. */
  dispose(tree: unknown): void {
    for (const { leaf } of flatten(tree).leaves) if (leaf instanceof DeviceArray) leaf.dispose();
  }

  memory(): MemoryStats {
    return this.backend.memory();
  }

  /** Arrays that were dropped without dispose(), as far as the garbage collector has noticed. */
  leaks(): readonly Leak[] {
    return this.tracker.report();
  }

  /** Number of programs compiled and kept. */
  get compiledPrograms(): number {
    return this.executables.size;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const compiled = [...this.executables.values()];
    this.executables.clear();
    // First the backend, so that runs which wait for their program learn that it is gone.
    await this.backend[Symbol.asyncDispose]();
    for (const result of await Promise.allSettled(compiled)) {
      if (result.status === "fulfilled") result.value[Symbol.dispose]();
    }
  }

  /** The executable of a graph, compiled on first use. The key is the whole text, so that two programs never collide. */
  executable(graph: Graph, { donate, label }: CompileRequest): Promise<Executable> {
    const key = `donate ${donate.join(",")}\n${printGraph(graph)}`;
    const known = this.executables.get(key);
    if (known !== undefined) return known;
    const compiled = this.backend.compile(graph, { donate, label });
    this.executables.set(key, compiled);
    // A failed compilation is not kept, so that the next call may try again.
    compiled.catch(() => this.executables.delete(key));
    return compiled;
  }

  /** Starts a run, after all that were asked for before it: at once, unless a program is still being compiled. */
  launch(program: Program, buffers: readonly Buffer[]): Promise<RunReport> {
    if (program.executable === null || this.turn !== null) return this.launchInTurn(program, buffers);
    return program.executable.run(buffers);
  }

  private async launchInTurn(program: Program, buffers: readonly Buffer[]): Promise<RunReport> {
    const before = this.turn;
    let end: () => void = () => undefined;
    const mine = new Promise<void>((resolve) => {
      end = resolve;
    });
    this.turn = mine;
    let running: Promise<RunReport>;
    try {
      await before;
      running = (await program.compiled).run(buffers);
    } finally {
      if (this.turn === mine) this.turn = null;
      end();
    }
    return running;
  }

  /** The copy of a host tensor that functions close over: one for all of them, given back with `releaseUpload`. */
  upload(tensor: HostTensor): Upload {
    return this.uploads.retain(tensor);
  }

  releaseUpload(upload: Upload): void {
    this.uploads.release(upload);
  }

  /** Copies one host tensor to the backend. */
  write(tensor: HostTensor): Buffer {
    return this.backend.write(tensor.data, tensor.type);
  }

  /** Makes a buffer an array of this device, owned by whoever receives it. */
  adopt(buffer: Buffer, label: string): DeviceArray {
    const array = new DeviceArray(this.owner, buffer);
    this.tracker.watch(array, label, buffer.byteLength);
    return array;
  }
}

/** Starts a backend; rejects with BackendUnavailableError if it cannot. */
export type BackendFactory = () => Promise<Device>;

export interface OpenResult {
  readonly device: Device;
  /** Why the ones preferred to it did not start. */
  readonly refused: readonly BackendUnavailableError[];
}

/** The first backend that starts, in order of preference. Throws BackendUnavailableError with every reason if none does. */
export async function open(options: { readonly prefer: readonly BackendFactory[] }): Promise<OpenResult> {
  const refused: BackendUnavailableError[] = [];
  for (const start of options.prefer) {
    try {
      return { device: await start(), refused };
    } catch (error) {
      if (!(error instanceof BackendUnavailableError)) throw error;
      refused.push(error);
    }
  }
  throw new BackendUnavailableError(
    `no backend started: ${refused.map((error) => error.message).join("; ") || "none given"}`,
  );
}
