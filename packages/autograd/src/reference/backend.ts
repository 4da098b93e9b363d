/** The reference backend: plain loops in the calling thread, so that a run is over when `run` returns its promise. */
import { ArgumentError } from "../errors.ts";
import { DTYPES, formatType } from "../ir/tensor-type.ts";
import { verify } from "../ir/verify.ts";
import type { Backend, BackendLostInfo, CancelSignal } from "../runtime/backend.ts";
import { ReferenceExecutable } from "./executable.ts";
import { copyHost, requireHost } from "./host.ts";
import { Memory } from "./memory.ts";

export interface ReferenceOptions {
  /** Bytes that buffers and the temporaries of a running program may take together; unbounded if left out. */
  readonly maxBytes?: number;
}

/** A typed array of this many bytes can be made in every supported engine. */
const MAX_BUFFER_BYTES = 2 ** 31;

/** Opens a reference backend. Throws ArgumentError for a negative maxBytes. */
export function referenceBackend({ maxBytes = Infinity }: ReferenceOptions = {}): Backend {
  if (!(maxBytes >= 0)) throw new ArgumentError(`referenceBackend: maxBytes must be at least 0, got ${maxBytes}`);
  const maxBufferBytes = Math.min(maxBytes, MAX_BUFFER_BYTES);
  const memory = new Memory(maxBytes, maxBufferBytes);
  let resolveLost: (info: BackendLostInfo) => void = () => undefined;
  const lost = new Promise<BackendLostInfo>((resolve) => {
    resolveLost = resolve;
  });
  return {
    name: "reference",
    limits: { maxBufferBytes, dtypes: new Set(DTYPES), ieeeNonFinite: true },
    lost,
    compile: (graph, { donate = [], label = "graph", signal } = {}) =>
      settle(() => {
        memory.requirePresent(`compile of ${label}`);
        if (signal?.aborted === true) throw abortReason(signal);
        verify(graph);
        return new ReferenceExecutable(memory, graph, donate, label);
      }),
    write: (data, type) => {
      const what = `write of ${formatType(type)}`;
      memory.requirePresent(what);
      requireHost("write", data, type);
      return memory.make(
        type,
        memory.reserve(what, [type], 0, () => copyHost(data, type)),
      );
    },
    read: (buffer) =>
      settle(() => {
        memory.requirePresent("read");
        return memory.own(buffer, "read: the buffer").data("read: the buffer").slice();
      }),
    synchronize: () =>
      settle(() => {
        memory.requirePresent("synchronize");
      }),
    memory: () => memory.statsWith(0),
    [Symbol.asyncDispose]: () =>
      settle(() => {
        const message = "the reference backend was disposed";
        memory.lose(message);
        resolveLost({ reason: "destroyed", message });
      }),
  };
}

/** A promise of what `work` returns, or a rejection with what it throws. */
function settle<T>(work: () => T): Promise<T> {
  return new Promise((resolve) => {
    resolve(work());
  });
}

/** What the caller gave to `abort`, or an AbortError as platforms make it. */
function abortReason({ reason }: CancelSignal): Error {
  if (reason instanceof Error) return reason;
  const error = new Error("the compilation was aborted", { cause: reason });
  error.name = "AbortError";
  return error;
}
