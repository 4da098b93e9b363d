/** A compiled graph of the reference backend: checks its inputs, accounts for the memory of a run and runs. */
import { ArgumentError, BanachError, DonatedBufferError, ShapeError } from "../errors.ts";
import type { Graph } from "../ir/graph.ts";
import { formatType, type HostArray, sameType, type TensorType } from "../ir/tensor-type.ts";
import type { Buffer, Executable, RunReport } from "../runtime/backend.ts";
import { type CompiledGraph, compileGraph } from "./interpret.ts";
import type { HostBuffer, Memory } from "./memory.ts";

export class ReferenceExecutable implements Executable {
  readonly inputs: readonly TensorType[];
  readonly outputs: readonly TensorType[];
  readonly donated: ReadonlySet<number>;
  readonly temporaryBytes: number;
  private readonly memory: Memory;
  private readonly label: string;
  private compiled: CompiledGraph | undefined;

  /** The graph has been verified. Throws ArgumentError for a donated index that is no input. */
  constructor(memory: Memory, graph: Graph, donate: readonly number[], label: string) {
    this.memory = memory;
    this.label = label;
    this.inputs = graph.inputs.map((v) => v.type);
    this.outputs = graph.outputs.map((atom) => atom.type);
    for (const index of donate) {
      if (!(index in this.inputs)) {
        throw new ArgumentError(`${label}: donates input ${index}, but has ${this.inputs.length} inputs`);
      }
    }
    this.donated = new Set(donate);
    this.compiled = compileGraph(graph);
    this.temporaryBytes = this.compiled.temporaryBytes;
  }

  run(buffers: readonly Buffer[]): Promise<RunReport> {
    return new Promise((resolve) => {
      resolve(this.runNow(buffers));
    });
  }

  [Symbol.dispose](): void {
    this.compiled = undefined;
  }

  private runNow(buffers: readonly Buffer[]): RunReport {
    const { compiled, memory, label } = this;
    memory.requirePresent(label);
    if (compiled === undefined) throw new BanachError(`${label}: the executable was disposed; compile the graph again`);
    const inputs = this.ownInputs(buffers);
    const data = inputs.map((buffer, i) => this.dataOf(buffer, i));
    this.requireUnshared(inputs);
    const { outputs, loopSteps } = memory.reserve(label, this.outputs, compiled.temporaryBytes, () =>
      compiled.run(data),
    );
    for (const i of this.donated) inputs[i]?.donate();
    return { outputs: outputs.map((array, i) => memory.own(this.outputs[i] as TensorType, array)), loopSteps };
  }

  private ownInputs(buffers: readonly Buffer[]): HostBuffer[] {
    if (buffers.length !== this.inputs.length) {
      throw new ShapeError(`${this.label}: takes ${this.inputs.length} inputs, got ${buffers.length}`);
    }
    return buffers.map((buffer, i) => this.memory.ownBuffer(buffer, `${this.label}: input ${i}`));
  }

  private dataOf(buffer: HostBuffer, i: number): HostArray {
    const expected = this.inputs[i] as TensorType;
    if (!sameType(buffer.type, expected)) {
      throw new ShapeError(`${this.label}: input ${i} must be ${formatType(expected)}, got ${formatType(buffer.type)}`);
    }
    return buffer.data(`${this.label}: input ${i}`);
  }

  /** A program that overwrites a donated input would change any other input in the same memory. */
  private requireUnshared(inputs: readonly HostBuffer[]): void {
    for (const i of this.donated) {
      const other = inputs.findIndex((buffer, j) => j !== i && buffer === inputs[i]);
      if (other >= 0) {
        throw new DonatedBufferError(`${this.label}: input ${i} is donated, but input ${other} is the same buffer`);
      }
    }
  }
}
