/** A compiled program: pipelines in order, run on buffers of the backend. */
import { BanachError, type Buffer, type Executable, type RunReport, type TensorType } from "@banach/autograd/backend";
import type { ProgramShaders } from "../codegen/program-shaders.ts";
import { Bindings } from "./bindings.ts";
import { bytesOf, Encoder, most, type Sent } from "./encoder.ts";
import type { Allocation, GpuBuffer } from "./memory.ts";
import type { ReadyProgram } from "./ready.ts";
import type { Session } from "./session.ts";

export interface ExecutableParts {
  readonly inputs: readonly TensorType[];
  readonly outputs: readonly TensorType[];
  readonly donate: readonly number[];
  readonly label: string;
  readonly shaders: ProgramShaders;
  readonly program: ReadyProgram;
}

export class WebGpuExecutable implements Executable {
  readonly inputs: readonly TensorType[];
  readonly outputs: readonly TensorType[];
  readonly donated: ReadonlySet<number>;
  readonly temporaryBytes: number;
  /** Of the last run that was encoded: for measurements. */
  sent: Sent | null = null;
  private readonly session: Session;
  private readonly parts: ExecutableParts;
  private disposed = false;
  /** Runs that have not ended. */
  private running = 0;
  private hasRun = false;

  constructor(session: Session, parts: ExecutableParts) {
    this.session = session;
    this.parts = parts;
    this.inputs = parts.inputs;
    this.outputs = parts.outputs;
    this.donated = new Set(parts.donate);
    this.temporaryBytes = parts.shaders.slabs.reduce((sum, bytes) => sum + bytes, 0);
  }

  async run(given: readonly Buffer[]): Promise<RunReport> {
    const { session } = this;
    const { label } = this.parts;
    session.memory.requirePresent(label);
    if (this.disposed) throw new BanachError(`${label}: the executable was disposed; compile the graph again`);
    const inputs = session.memory.ownInputs(given, this.inputs, this.donated, label);
    const outputs = session.memory.create(label, this.outputs);
    session.memory.notePeak(this.temporaryBytes);
    for (const buffer of inputs) buffer.pin();
    for (const i of this.donated) inputs[i]?.take();
    this.running++;
    try {
      const sent = await session.inTurn(() => this.send(inputs, outputs));
      const loopSteps = this.countsIn(await sent.counts);
      for (const i of this.donated) inputs[i]?.donate();
      return { outputs, loopSteps };
    } catch (error) {
      for (const i of this.donated) inputs[i]?.giveBack();
      for (const output of outputs) output[Symbol.dispose]();
      throw await session.explained(error, label);
    } finally {
      for (const buffer of inputs) buffer.unpin();
      this.running--;
      this.release();
    }
  }

  /** Runs that were asked for before are done. */
  [Symbol.dispose](): void {
    this.disposed = true;
    this.release();
  }

  private release(): void {
    if (!this.disposed || this.running > 0) return;
    for (const buffer of this.parts.program.own) buffer.destroy();
  }

  /** Encodes and submits a run: at once, if there is nothing to wait for. */
  private send(inputs: readonly GpuBuffer[], outputs: readonly GpuBuffer[]): Sending | Promise<Sending> {
    const { session } = this;
    const { label, program, shaders } = this.parts;
    session.memory.requirePresent(label);
    const allocations: (Allocation | null)[] = [];
    for (const { allocation } of inputs) allocations.push(allocation);
    for (const { allocation } of outputs) allocations.push(allocation);
    allocations.push(...session.arena.reserve(shaders.slabs, label));
    const bound = { allocations, outputs: inputs.length, slabs: inputs.length + outputs.length };
    const made: Promise<Error | null>[] = [];
    for (const allocation of allocations) if (allocation?.made) made.push(allocation.made);
    const encoder = (): Encoder => {
      const bindings = new Bindings(session.device, program, bound);
      return new Encoder(session.device, session.staging, program, bindings, !this.hasRun);
    };
    if (made.length > 0 || program.hasWhile || !this.hasRun) return this.sendCarefully(made, encoder);
    const encoding = encoder();
    encoding.encode(program.actions);
    const sending = this.finish(encoding);
    return encoding.problems.length === 0 ? sending : this.accepted(encoding, sending);
  }

  /** As `send`, waiting for memory that is being made, for flags, and for what the device thinks of it. */
  private async sendCarefully(made: readonly Promise<Error | null>[], create: () => Encoder): Promise<Sending> {
    const { label, program } = this.parts;
    for (const error of await Promise.all(made)) if (error !== null) throw error;
    this.session.memory.requirePresent(label);
    const encoding = create();
    await encoding.run(program.actions);
    return this.accepted(encoding, this.finish(encoding));
  }

  /** What was sent, unless the device refused it. */
  private async accepted({ problems }: Encoder, sending: Sending): Promise<Sending> {
    for (const problem of await Promise.all(problems)) {
      if (problem === null) continue;
      throw new BanachError(`${this.parts.label}: the device refused the program: ${problem.message}`);
    }
    this.hasRun = true;
    return sending;
  }

  private finish(encoding: Encoder): Sending {
    const counts = encoding.finish(this.parts.shaders.steps.map((place) => ({ place, bytes: bytesOf(place) })));
    this.sent = encoding.sent;
    return { counts };
  }

  /** The largest count of each outermost while. */
  private countsIn(data: ArrayBuffer | null): number[] {
    let offset = 0;
    return this.parts.shaders.steps.map((place) => {
      const counts = new Int32Array(data ?? new ArrayBuffer(0), offset, bytesOf(place) / 4);
      offset += bytesOf(place);
      return most(counts);
    });
  }
}

/** A run that is on its way. */
interface Sending {
  /** Iterations made by the whiles that are reported, if there are any. */
  readonly counts: Promise<ArrayBuffer> | null;
}
