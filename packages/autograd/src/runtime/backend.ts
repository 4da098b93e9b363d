/** The Backend interface: what a backend must do, and nothing more. It takes whole graphs; there are no per-operation methods. */
import type { Graph } from "../ir/graph.ts";
import type { DType, HostArray, TensorType } from "../ir/tensor-type.ts";

export type BufferState = "live" | "donated" | "disposed" | "lost";

/** Data on a backend. Only the backend that made it may read or run it. */
export interface Buffer extends Disposable {
  readonly type: TensorType;
  readonly byteLength: number;
  readonly state: BufferState;
}

export interface MemoryStats {
  /** Buffers that are neither disposed, donated nor lost. */
  readonly liveBuffers: number;
  readonly liveBytes: number;
  /** Most bytes ever live at once, temporaries of a running program included. */
  readonly peakBytes: number;
  /** Bytes kept for reuse. */
  readonly pooledBytes: number;
}

export interface BackendLimits {
  readonly maxBufferBytes: number;
  readonly dtypes: ReadonlySet<DType>;
  /** False where NaN and infinities may be assumed away by the compiler of the device. */
  readonly ieeeNonFinite: boolean;
}

export interface BackendLostInfo {
  readonly reason: "destroyed" | "unknown";
  readonly message: string;
}

/** The part of AbortSignal that is used; every AbortSignal is one. */
export interface CancelSignal {
  readonly aborted: boolean;
  readonly reason?: unknown;
}

export interface CompileOptions {
  /** Indices of inputs whose buffers the program may overwrite; they are `donated` after a run. */
  readonly donate?: readonly number[];
  /** Appears in errors and profiles. */
  readonly label?: string;
  readonly signal?: CancelSignal;
}

export interface RunReport {
  /** Owned by the caller. */
  readonly outputs: readonly Buffer[];
  /** Iterations made by each outermost `while`, in program order; the largest over its rows. */
  readonly loopSteps: readonly number[];
}

export interface Executable extends Disposable {
  readonly inputs: readonly TensorType[];
  readonly outputs: readonly TensorType[];
  readonly donated: ReadonlySet<number>;
  /** Bytes that a run needs besides its inputs and outputs. */
  readonly temporaryBytes: number;
  /** Inputs are borrowed (unless donated). Rejects with DisposedBufferError, DonatedBufferError, BackendLostError, OutOfMemoryError. */
  run(inputs: readonly Buffer[]): Promise<RunReport>;
}

export interface Backend extends AsyncDisposable {
  readonly name: string;
  /** What was chosen when it started, and why, for people: "2 threads: 2 cores". */
  readonly notes?: readonly string[];
  readonly limits: BackendLimits;
  /** Resolves when the device is gone, also after disposal. */
  readonly lost: Promise<BackendLostInfo>;
  compile(graph: Graph, options?: CompileOptions): Promise<Executable>;
  /** Copies host data in. Throws DTypeError for a dtype outside `limits`, OutOfMemoryError before anything is written. */
  write(data: HostArray, type: TensorType): Buffer;
  /** A copy of the data, after all pending runs. */
  read(buffer: Buffer): Promise<HostArray>;
  synchronize(): Promise<void>;
  memory(): MemoryStats;
}
