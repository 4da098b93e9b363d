/** A compiled graph of the reference backend: checks its inputs, accounts for the memory of a run and runs. */
import { ArgumentError, BanachError } from "../errors.ts";
import type { Graph } from "../ir/graph.ts";
import type { TensorType } from "../ir/tensor-type.ts";
import type { Buffer, Executable, RunReport } from "../runtime/backend.ts";
import { type CompiledGraph, compileGraph } from "./interpret.ts";
import type { Memory } from "./memory.ts";

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
    // A program that overwrites a donated input would change any other input in the same memory.
    const inputs = memory.ownInputs(buffers, this.inputs, this.donated, label);
    const data = inputs.map((buffer, i) => buffer.data(`${label}: input ${i}`));
    const { outputs, loopSteps } = memory.reserve(label, this.outputs, compiled.temporaryBytes, () =>
      compiled.run(data),
    );
    for (const i of this.donated) inputs[i]?.donate();
    return { outputs: outputs.map((array, i) => memory.make(this.outputs[i] as TensorType, array)), loopSteps };
  }
}
