/** A compiled program: an instance of its module on the backend's memory, and the table of addresses for a run. */
import { BanachError, type Buffer, type Executable, type RunReport, type TensorType } from "@banach/autograd/backend";
import type { EmittedModule } from "../codegen/module.ts";
import type { BufferSpace, WasmBuffer } from "./buffers.ts";

/** Of the arena, in bytes: a cache line, of which each thread's part is a number of whole ones. */
const ALIGNMENT = 64;

export interface ExecutableParts {
  readonly inputs: readonly TensorType[];
  readonly outputs: readonly TensorType[];
  readonly donate: readonly number[];
  readonly label: string;
  readonly emitted: EmittedModule;
  /** Runs the program with the addresses in a table. Throws BackendLostError if it cannot be finished. */
  readonly run: (table: number) => void;
  /** The program will not be run again. */
  readonly drop: () => void;
}

export class WasmExecutable implements Executable {
  readonly inputs: readonly TensorType[];
  readonly outputs: readonly TensorType[];
  readonly donated: ReadonlySet<number>;
  readonly temporaryBytes: number;
  private readonly space: BufferSpace;
  private readonly parts: ExecutableParts;
  private readonly tableBytes: number;
  private disposed = false;

  constructor(space: BufferSpace, parts: ExecutableParts) {
    const { inputs, outputs, donate, emitted } = parts;
    this.space = space;
    this.parts = parts;
    this.inputs = inputs;
    this.outputs = outputs;
    this.donated = new Set(donate);
    this.tableBytes = Math.ceil((4 * (emitted.tableLength + emitted.whileCount)) / ALIGNMENT) * ALIGNMENT;
    this.temporaryBytes = emitted.arenaBytes + this.tableBytes;
  }

  run(buffers: readonly Buffer[]): Promise<RunReport> {
    return new Promise((resolve) => {
      resolve(this.runNow(buffers));
    });
  }

  [Symbol.dispose](): void {
    if (this.disposed) return;
    this.disposed = true;
    this.parts.drop();
  }

  private runNow(given: readonly Buffer[]): RunReport {
    const { space, temporaryBytes } = this;
    const { label, run } = this.parts;
    space.requirePresent(label);
    if (this.disposed) throw new BanachError(`${label}: the executable was disposed; compile the graph again`);
    const inputs = space.ownInputs(given, this.inputs, this.donated, label);
    const { buffers: outputs, block } = space.create(label, this.outputs, temporaryBytes);
    try {
      const table = this.writeTable(block, inputs, outputs);
      run(block);
      const loopSteps = [...table()];
      for (const i of this.donated) inputs[i]?.donate();
      return { outputs, loopSteps };
    } catch (error) {
      for (const output of outputs) output[Symbol.dispose]();
      throw error;
    } finally {
      space.heap.release(block, temporaryBytes);
    }
  }

  /** Fills in the addresses; the arena follows the table. Returns a reader of the iteration counts that the run leaves. */
  private writeTable(block: number, inputs: readonly WasmBuffer[], outputs: readonly WasmBuffer[]): () => Int32Array {
    const { tableLength, whileCount } = this.parts.emitted;
    const { memory } = this.space.heap;
    const addresses = [...inputs, ...outputs].map(({ address }) => address);
    new Uint32Array(memory.buffer, block, tableLength).set([...addresses, block + this.tableBytes]);
    return () => new Int32Array(memory.buffer, block + 4 * tableLength, whileCount);
  }
}
