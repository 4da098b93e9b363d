/** Encodes the actions of one run, and submits them in pieces of bounded length. */
import type { LoopCounter } from "@banach/autograd/backend";
import type { Copy } from "../codegen/program-shaders.ts";
import type { Bindings } from "./bindings.ts";
import {
  type BoundPlace,
  type CounterSlots,
  type Dispatch,
  type Ready,
  type ReadyFor,
  type ReadyProgram,
  type ReadyWhile,
  SLOT_BYTES,
  type Stretch,
} from "./ready.ts";
import type { Staging } from "./staging.ts";

/** Dispatches that are submitted together at most, so that no page or driver takes them for a hang. */
const MOST_DISPATCHES = 1024;

/** Iterations of a while that are encoded ahead of knowing whether they will be made. */
const MOST_AHEAD = 64;

/** Bytes that the host wants to see. */
export interface Wanted {
  readonly place: BoundPlace;
  readonly bytes: number;
}

/** What a run has sent to the device. */
export interface Sent {
  dispatches: number;
  submits: number;
  readBacks: number;
}

export class Encoder {
  readonly sent: Sent = { dispatches: 0, submits: 0, readBacks: 0 };
  /** What the device finds wrong with each submission. */
  readonly problems: Promise<GPUError | null>[] = [];
  private readonly device: GPUDevice;
  private readonly isChecked: boolean;
  private readonly staging: Staging;
  private readonly program: ReadyProgram;
  private readonly bindings: Bindings;
  private readonly values = new Map<LoopCounter, number>();
  /** Null while there is nothing to submit. */
  private commands: GPUCommandEncoder | null = null;
  private pass: GPUComputePassEncoder | null = null;
  /** What the pass has been given last. */
  private pipeline: GPUComputePipeline | null = null;
  private group: GPUBindGroup | null = null;
  private pending = 0;
  /** Of the while that dispatches are in. */
  private sizes: GPUBuffer | null = null;

  /** @param isChecked whether to ask what the device thinks of every submission, see `problems` */
  constructor(device: GPUDevice, staging: Staging, program: ReadyProgram, bindings: Bindings, isChecked: boolean) {
    this.device = device;
    this.isChecked = isChecked;
    this.staging = staging;
    this.program = program;
    this.bindings = bindings;
  }

  /** Encodes a program that waits for nothing. */
  encode(actions: readonly Ready[]): void {
    for (const action of actions) {
      if (action.kind === "stretch") this.stretch(action);
      else if (action.kind === "copy") this.copy(action);
      else if (action.kind === "for") {
        for (let step = 0; step < action.length; step++) {
          this.values.set(action.counter, valueAt(action, step));
          this.encode(action.body);
        }
      } else throw new RangeError("a while has to wait for the device");
    }
  }

  /** Encodes any program; resolves when nothing is left to wait for but the end. */
  async run(actions: readonly Ready[]): Promise<void> {
    for (const action of actions) {
      if (action.kind === "stretch") this.stretch(action);
      else if (action.kind === "copy") this.copy(action);
      else if (action.kind === "while") await (action.gate === null ? this.stepwise(action) : this.ahead(action));
      else {
        for (let step = 0; step < action.length; step++) {
          this.values.set(action.counter, valueAt(action, step));
          await this.run(action.body);
        }
      }
    }
  }

  /** Submits what is left, with copies to the host if any; resolves with those. */
  finish(reads: readonly Wanted[]): Promise<ArrayBuffer> | null {
    if (reads.length > 0) return this.readBack(reads);
    this.submit();
    return null;
  }

  /** One iteration after the other, each of which the host waits for. */
  private async stepwise(loop: ReadyWhile): Promise<void> {
    const { test, body, maxSteps } = loop;
    for (let step = 0; step < maxSteps; step++) {
      await this.run(test);
      const { isUp } = await this.look(loop);
      if (!isUp) return;
      await this.run(body);
    }
  }

  /** Several iterations at a time; from the last one on, dispatches have nothing to do. */
  private async ahead(loop: ReadyWhile): Promise<void> {
    const { test, body, maxSteps, gate } = loop;
    if (gate === null || maxSteps === 0) return;
    // Written in the order of submissions: earlier loops are on their way.
    this.submit();
    this.device.queue.writeBuffer(gate.sizes, 0, gate.template);
    let made = 0;
    let ahead = Math.min(MOST_AHEAD, loop.expected);
    for (;;) {
      this.sizes = gate.sizes;
      for (let i = 0; i < ahead && made < maxSteps; i++, made++) {
        this.encode(test);
        this.stretch(gate.dispatch);
        this.encode(body);
      }
      // Whether the next one would be made. After the last one only the count is of interest: it may have ended before.
      if (made < maxSteps) {
        this.encode(test);
        this.stretch(gate.dispatch);
      }
      this.sizes = null;
      const { isUp, steps } = await this.look(loop);
      loop.expected = Math.max(1, steps);
      if (!isUp || made === maxSteps) break;
      // The test was made and holds: only the body is left of this iteration.
      this.sizes = gate.sizes;
      this.encode(body);
      made++;
      if (made === maxSteps) {
        loop.expected = made;
        break;
      }
      ahead = Math.min(MOST_AHEAD, 2 * ahead);
    }
    this.sizes = null;
  }

  /** Whether the flag of a while is up, and the iterations made so far. */
  private async look({ flag, steps }: ReadyWhile): Promise<{ readonly isUp: boolean; readonly steps: number }> {
    const bytes = await this.readBack([
      { place: flag, bytes: 4 },
      { place: steps, bytes: bytesOf(steps) },
    ]);
    const read = new Int32Array(bytes);
    return { isUp: read[0] !== 0, steps: most(read.subarray(1)) };
  }

  private readBack(wanted: readonly Wanted[]): Promise<ArrayBuffer> {
    this.endPass();
    const sources = wanted.map(({ place, bytes }) => {
      const { buffer, offset = 0 } = this.bindings.resourceOf(place);
      return { gpu: buffer, offset, bytes };
    });
    const copied = this.staging.copy(this.begin(), sources);
    this.submit(copied.staging.made);
    this.sent.readBacks++;
    return this.staging.read(copied);
  }

  private stretch({ first, end }: Stretch): void {
    const { dispatches, tape } = this.program;
    const { groups } = this.bindings;
    for (let i = first; i < end; i++) {
      const dispatch = dispatches[i];
      const pipeline = tape.pipelines[i];
      if (dispatch === undefined || pipeline === undefined) throw new RangeError(`there is no dispatch ${i}`);
      if (this.pending >= MOST_DISPATCHES) this.submit();
      const pass = this.pass ?? this.beginPass();
      if (pipeline !== this.pipeline) pass.setPipeline(pipeline);
      this.pipeline = pipeline;
      const group = groups[i] ?? this.bindings.groupOf(dispatch);
      if (group !== this.group) pass.setBindGroup(0, group);
      this.group = group;
      const workgroups = tape.workgroups[i] ?? 0;
      // A call with one argument takes half as long in Node as with two.
      if (workgroups > 0) pass.dispatchWorkgroups(workgroups);
      else this.dispatch(pass, dispatch);
      this.pending++;
      this.sent.dispatches++;
    }
  }

  /** One that a number of workgroups does not tell all about. */
  private dispatch(pass: GPUComputePassEncoder, { grid, slots, gated }: Dispatch): void {
    const { counters } = this.program;
    if (slots !== null && counters !== null) {
      pass.setBindGroup(1, counters.group, [this.slotOf(slots) * SLOT_BYTES]);
    }
    if (gated !== null && this.sizes !== null) pass.dispatchWorkgroupsIndirect(this.sizes, 12 * gated);
    else pass.dispatchWorkgroups(...grid);
  }

  private copy({ from, to, bytes }: Copy): void {
    this.endPass();
    const [source, target] = [this.bindings.resourceOf(from), this.bindings.resourceOf(to)];
    this.begin().copyBufferToBuffer(source.buffer, source.offset ?? 0, target.buffer, target.offset ?? 0, bytes);
  }

  private slotOf({ first, counters, lengths }: CounterSlots): number {
    let index = 0;
    counters.forEach((counter, i) => {
      index = index * (lengths[i] ?? 1) + (this.values.get(counter) ?? 0);
    });
    return first + index;
  }

  private beginPass(): GPUComputePassEncoder {
    this.pipeline = null;
    this.group = null;
    return (this.pass = this.begin().beginComputePass());
  }

  private begin(): GPUCommandEncoder {
    return (this.commands ??= this.device.createCommandEncoder());
  }

  private endPass(): void {
    this.pass?.end();
    this.pass = null;
  }

  /** @param making memory that is copied to and may turn out not to be there, which is said where it is read */
  private submit(making: Promise<Error | null> | null = null): void {
    const { device, commands } = this;
    if (commands === null) return;
    const isChecked = this.isChecked || making !== null;
    this.endPass();
    this.commands = null;
    if (isChecked) device.pushErrorScope("validation");
    device.queue.submit([commands.finish()]);
    if (isChecked) this.problems.push(unlessMissing(device.popErrorScope(), making));
    this.sent.submits++;
    this.pending = 0;
  }
}

async function unlessMissing(
  problem: Promise<GPUError | null>,
  making: Promise<Error | null> | null,
): Promise<GPUError | null> {
  const [found, missing] = await Promise.all([problem, making]);
  return missing === null ? found : null;
}

/** Bytes of a temporary. */
export const bytesOf = (place: BoundPlace): number => (place.kind === "arena" ? place.bytes : 4);

/** The largest of the counts of rows, of which there may be very many. */
export const most = (counts: Int32Array): number => counts.reduce((found, count) => Math.max(found, count), 0);

/** The counter of a loop in one of its steps. */
const valueAt = ({ length, reverse }: ReadyFor, step: number): number => (reverse ? length - 1 - step : step);
