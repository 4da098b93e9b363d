/** The WebGPU backend: a program is a handful of compute shaders, and a run is one command buffer where no loop asks back. */
import {
  allocateHost,
  type Backend,
  type Buffer,
  type DType,
  DTypeError,
  formatType,
  type HostArray,
  forWorkgroups,
  lower,
  requireDonated,
  requireDTypes,
  requireNotAborted,
  type Schedule,
  ShapeError,
  sizeOf,
  verify,
} from "@banach/autograd/backend";
import { storageBytes } from "../codegen/layout.ts";
import { writeProgram } from "../codegen/program-shaders.ts";
import { openDevice, type WebGpuOptions } from "../platform/open-device.ts";
import { WebGpuExecutable } from "./executable.ts";
import { toDevice, toHost } from "./host-data.ts";
import { ProgramMaker } from "./ready.ts";
import { Session } from "./session.ts";

/** Kernels and loops as they come. */
const keptApart: Schedule = (program) => program;

/** Opens a backend. Rejects with BackendUnavailableError, saying what is missing, and ArgumentError for a bad option. */
export async function webgpuBackend(options: WebGpuOptions = {}): Promise<Backend> {
  const { device, isOwn, limits, notes } = await openDevice(options);
  const session = new Session(device, isOwn, limits);
  const { memory } = session;
  const dtypes: ReadonlySet<DType> = new Set<DType>([
    "float32",
    "int32",
    "uint32",
    "bool",
    ...(device.features.has("shader-f16") ? (["float16"] as const) : []),
  ]);
  const { maxBufferBytes } = memory;
  let disposal: Promise<void> | null = null;
  return {
    name: "webgpu",
    notes,
    limits: { maxBufferBytes, dtypes, ieeeNonFinite: false },
    lost: session.lost,
    compile: async (graph, { donate = [], label = "graph", signal } = {}) => {
      memory.requirePresent(`compile of ${label}`);
      requireNotAborted(signal);
      verify(graph);
      requireDTypes(graph, label, "webgpu", dtypes);
      requireDonated(donate, graph, label);
      const shaders = writeProgram(
        lower(graph, options.fuseLoops === false ? keptApart : forWorkgroups(limits.tuning.rows)),
        limits,
        maxBufferBytes,
        { label, live: memory.liveBytes },
      );
      const maker = new ProgramMaker(device, session.pipelines, limits);
      try {
        const program = await maker.make(shaders.actions);
        try {
          requireNotAborted(signal);
          memory.requirePresent(`compile of ${label}`);
        } catch (error) {
          for (const buffer of program.own) buffer.destroy();
          throw error;
        }
        const inputs = graph.inputs.map(({ type }) => type);
        const outputs = graph.outputs.map(({ type }) => type);
        return new WebGpuExecutable(session, { inputs, outputs, donate, label, shaders, program });
      } catch (error) {
        throw await session.explained(error, `compile of ${label}`);
      }
    },
    write: (data, type) => {
      const what = `write of ${formatType(type)}`;
      memory.requirePresent(what);
      if (!dtypes.has(type.dtype)) throw new DTypeError(`${what}: the webgpu backend holds ${[...dtypes].join(", ")}`);
      if (data.length !== sizeOf(type.shape)) {
        throw new ShapeError(`${what}: got ${data.length} elements, needs ${sizeOf(type.shape)}`);
      }
      const [buffer] = memory.create(what, [type]);
      if (buffer === undefined) throw new RangeError("no buffer was made");
      const { gpu, made } = buffer.allocation;
      // What is wrong with memory that is being made is said where the buffer is used; it must not be said twice.
      if (made !== null) device.pushErrorScope("validation");
      device.queue.writeBuffer(gpu, 0, toDevice(data, type));
      if (made !== null) device.popErrorScope().catch(() => undefined);
      return buffer;
    },
    read: (given) => session.staging.track(readBack(session, given)),
    synchronize: async () => {
      memory.requirePresent("synchronize");
      await session.inTurn(() => undefined);
      await device.queue.onSubmittedWorkDone();
      memory.requirePresent("synchronize");
      session.requireSound("synchronize");
    },
    memory: () => memory.stats,
    [Symbol.asyncDispose]: () => (disposal ??= dispose(session)),
  };
}

/** A copy of the data, of runs that were asked for before. */
async function readBack(session: Session, given: Buffer): Promise<HostArray> {
  const { device, memory, staging } = session;
  memory.requirePresent("read");
  const buffer = memory.own(given, "read: the buffer");
  buffer.requireLive("read: the buffer");
  session.requireSound("read");
  const { type, allocation } = buffer;
  if (sizeOf(type.shape) === 0) return allocateHost(type.dtype, 0);
  const bytes = storageBytes(type.dtype, sizeOf(type.shape));
  buffer.pin();
  try {
    const error = await allocation.made;
    if (error !== null) throw error;
    memory.requirePresent("read");
    device.pushErrorScope("validation");
    const commands = device.createCommandEncoder();
    const copied = staging.copy(commands, [{ gpu: allocation.gpu, offset: 0, bytes }]);
    device.queue.submit([commands.finish()]);
    const [data, problem] = await Promise.all([staging.read(copied), device.popErrorScope()]);
    if (problem !== null) throw memory.explain(problem, "read", bytes);
    // Errors arrive in the order of what they are about: those of the runs before are here.
    session.requireSound("read");
    return toHost(data, type);
  } catch (error) {
    throw await session.explained(error, "read");
  } finally {
    buffer.unpin();
  }
}

async function dispose(session: Session): Promise<void> {
  const { device, memory } = session;
  if (memory.isLost) return;
  // In the end nobody is left to be told of errors.
  await Promise.allSettled([session.inTurn(() => undefined)]);
  // What is being read is read: a pending map would keep the process from ending.
  await session.staging.ended();
  await Promise.race([device.queue.onSubmittedWorkDone(), device.lost]);
  session.staging.destroy();
  session.arena.destroy();
  memory.destroyAll();
  session.lose({ reason: "destroyed", message: "the webgpu backend was disposed" });
  if (session.isOwn) device.destroy();
}
