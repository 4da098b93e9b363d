/** The WASM backend: one memory, and one module per program, written and instantiated at run time. */
import {
  ArgumentError,
  type Backend,
  BackendLostError,
  type BackendLostInfo,
  BackendUnavailableError,
  byteLengthOf,
  type DType,
  DTypeError,
  formatType,
  lower,
  type MemoryPlan,
  OutOfMemoryError,
  planMemory,
  type Program,
  requireDonated,
  requireDTypes,
  requireNotAborted,
  ShapeError,
  sizeOf,
  verify,
} from "@banach/autograd/backend";
import { defaultGrain, emitModule, type Grain } from "../codegen/module.ts";
import { maySleep, type ThreadPool } from "../threads/index.ts";
import {
  maxPages,
  pageBytes,
  probeFeatures,
  type WasmModule,
  webAssembly,
  type WebAssemblyApi,
} from "../wasm/index.ts";
import { BufferSpace } from "./buffers.ts";
import { WasmExecutable } from "./executable.ts";
import { openMemory } from "./open-memory.ts";

export interface WasmOptions {
  /** Bytes that the memory may grow to; default and most 4 GiB. */
  readonly maxBytes?: number;
  /**
   * Whether to use relaxed SIMD: fused multiply-add, which makes contractions 1.1 to 1.8 times as fast, depending on the
   * machine, and whose rounding may differ between machines. Default false. Node 20 needs --experimental-wasm-relaxed-simd.
   */
  readonly relaxed?: boolean;
  /**
   * Threads that run a program together, the caller's among them; results do not depend on it. Default: one per core, at
   * most 8. Where there can be only one, the backend has one and says why in its notes. A page needs to be cross-origin
   * isolated.
   */
  readonly threads?: number;
  /** Work from which it is shared among threads, in nanoseconds; 0 shares whatever can be. For tests and measurements. */
  readonly grain?: Grain;
}

/** Of temporaries, in bytes: that of vectors. */
const ALIGNMENT = 16;

const DTYPES: ReadonlySet<DType> = new Set<DType>(["float32", "int32", "uint32", "bool"]);

/** Opens a backend. Rejects with BackendUnavailableError, saying what is missing, and ArgumentError for a bad option. */
export async function wasmBackend(options: WasmOptions = {}): Promise<Backend> {
  const { maxBytes = maxPages * pageBytes, relaxed = false, grain = defaultGrain } = options;
  if (!(maxBytes > 0)) throw new ArgumentError(`wasm: maxBytes must be positive, got ${maxBytes}`);
  const api = requireFeatures(relaxed);
  const { heap, pool, note } = await openMemory(maxBytes, options.threads);
  const space = new BufferSpace(heap);
  let resolveLost: (info: BackendLostInfo) => void = () => undefined;
  const lost = new Promise<BackendLostInfo>((resolve) => {
    resolveLost = resolve;
  });
  const lose = async (info: BackendLostInfo): Promise<void> => {
    space.lose(info.message);
    resolveLost(info);
    await pool?.stop();
  };
  const die = (why: string): void => {
    void lose({ reason: "unknown", message: `a thread of the wasm backend died: ${why}` });
  };
  void pool?.ended.then(die);
  /** The number of a program that all threads have. What fails here has ended the backend, which says so. */
  const load = (threads: ThreadPool, module: WasmModule): Promise<number> =>
    threads.load(module).catch((error: unknown) => {
      die(error instanceof Error ? error.message : String(error));
      return 0;
    });
  const maxBufferBytes = Math.min(maxBytes, maxPages * pageBytes);
  const threads = pool === null ? null : { size: pool.size, firstMaySleep: maySleep(), grain };
  return {
    name: relaxed ? "wasm (relaxed SIMD)" : "wasm",
    notes: [note],
    limits: { maxBufferBytes, dtypes: DTYPES, ieeeNonFinite: true },
    lost,
    compile: async (graph, { donate = [], label = "graph", signal } = {}) => {
      space.requirePresent(`compile of ${label}`);
      requireNotAborted(signal);
      verify(graph);
      requireDTypes(graph, label, "wasm", DTYPES);
      requireDonated(donate, graph, label);
      const program = lower(graph);
      const plan = planMemory(program, ALIGNMENT);
      requireAddresses(program, plan, label, space.stats.liveBytes);
      const emitted = emitModule(program, plan, { relaxed, name: label, threads });
      const module = await api.compile(emitted.bytes);
      requireNotAborted(signal);
      const { exports } = await api.instantiate(module, { env: { memory: heap.memory } });
      // The module was written with an export of this name and type.
      const own = exports["run"] as (table: number, thread: number) => void;
      const shared = pool !== null && emitted.threads > 1 ? { pool, program: await load(pool, module) } : null;
      space.requirePresent(`compile of ${label}`);
      const run = (table: number): void => {
        if (shared === null) {
          own(table, 0);
          return;
        }
        try {
          shared.pool.run(shared.program, table, () => {
            own(table, 0);
          });
        } catch (error) {
          die(`${String(error)}, in ${label}`);
          throw new BackendLostError(`${label}: a thread of the wasm backend died`, { cause: error });
        }
      };
      return new WasmExecutable(space, {
        inputs: graph.inputs.map((v) => v.type),
        outputs: graph.outputs.map((atom) => atom.type),
        donate,
        label,
        emitted,
        run,
        drop: () => shared?.pool.drop(shared.program),
      });
    },
    write: (data, type) => {
      const what = `write of ${formatType(type)}`;
      space.requirePresent(what);
      if (!DTYPES.has(type.dtype)) throw new DTypeError(`${what}: the wasm backend holds ${[...DTYPES].join(", ")}`);
      if (data.length !== sizeOf(type.shape)) {
        throw new ShapeError(`${what}: got ${data.length} elements, needs ${sizeOf(type.shape)}`);
      }
      if (byteLengthOf(type) > maxBufferBytes) {
        const bytes = { requested: byteLengthOf(type), limit: maxBufferBytes, live: space.stats.liveBytes };
        throw new OutOfMemoryError(`${what}: larger than a buffer may be`, bytes);
      }
      const { buffers, block } = space.create(what, [type], 0);
      space.heap.release(block, 0);
      const [buffer] = buffers;
      if (buffer === undefined) throw new RangeError("no buffer was made");
      space.write(buffer.address, type, data);
      return buffer;
    },
    read: (given) =>
      settle(() => {
        space.requirePresent("read");
        const buffer = space.own(given, "read: the buffer");
        buffer.requireLive("read: the buffer");
        return space.read(buffer.address, buffer.type);
      }),
    synchronize: () =>
      settle(() => {
        space.requirePresent("synchronize");
      }),
    memory: () => space.stats,
    [Symbol.asyncDispose]: () => lose({ reason: "destroyed", message: "the wasm backend was disposed" }),
  };
}

function requireFeatures(relaxed: boolean): WebAssemblyApi {
  const api = webAssembly();
  if (api === undefined) throw new BackendUnavailableError("wasm: there is no WebAssembly in this JavaScript engine");
  const features = probeFeatures();
  if (!features.simd) throw new BackendUnavailableError("wasm: this engine has no SIMD; use a newer one");
  if (!features.bulkMemory) throw new BackendUnavailableError("wasm: this engine has no bulk memory; use a newer one");
  if (relaxed && !features.relaxedSimd) {
    throw new BackendUnavailableError(
      "wasm: this engine has no relaxed SIMD; on Node 20 start it with --experimental-wasm-relaxed-simd, or leave relaxed out",
    );
  }
  return api;
}

/** What a single run needs has to have addresses, or the program cannot even be written. */
function requireAddresses({ inputs, outputs }: Program, plan: MemoryPlan, label: string, live: number): void {
  const limit = maxPages * pageBytes;
  const bytesOf = ({ dtype, size }: Program["inputs"][number]): number => byteLengthOf({ dtype, shape: [size] });
  const buffers = [...inputs, ...outputs].reduce((sum, buffer) => sum + bytesOf(buffer), 0);
  const requested = buffers + plan.bytes + plan.local.bytes;
  if (requested <= limit) return;
  throw new OutOfMemoryError(
    `${label}: a run needs more than any memory has, ${plan.bytes} bytes of it for temporaries; use a smaller batch`,
    { requested, limit, live },
  );
}

/** A promise of what `work` returns, or a rejection with what it throws. */
function settle<T>(work: () => T): Promise<T> {
  return new Promise((resolve) => {
    resolve(work());
  });
}
