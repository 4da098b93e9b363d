/** Encodes the actions of one run, and submits them in pieces of bounded length. */
import type { LoopCounter } from "@banach/autograd/backend";
import type { Copy } from "../codegen/program-shaders.ts";
import type { Allocation } from "./memory.ts";
import {
  type BoundPlace,
  type CounterSlots,
  type Dispatch,
  type Ready,
  type ReadyFor,
  type ReadyProgram,
  type ReadyWhile,
  SLOT_BYTES,
} from "./ready.ts";
import type { Staging } from "./staging.ts";

/** Dispatches that are submitted together at most, so that no page or driver takes them for a hang. */
const MOST_DISPATCHES = 1024;

/** Iterations of a while that are encoded ahead of knowing whether they will be made. */
const MOST_AHEAD = 64;

/** Bind groups that a dispatch remembers. */
const REMEMBERED = 8;

/** The memory of one run. */
export interface Bound {
  readonly inputs: readonly Allocation[];
  readonly outputs: readonly Allocation[];
  readonly slab: (index: number) => Allocation;
}

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
  private readonly bound: Bound;
  private readonly values = new Map<LoopCounter, number>();
  private commands: GPUCommandEncoder;
  private pass: GPUComputePassEncoder | null = null;
  /** That the pass has been given last. */
  private pipeline: GPUComputePipeline | null = null;
  private pending = 0;
  /** Of the while that dispatches are in. */
  private sizes: GPUBuffer | null = null;

  /** @param isChecked whether to ask what the device thinks of every submission, see `problems` */
  constructor(device: GPUDevice, staging: Staging, program: ReadyProgram, bound: Bound, isChecked: boolean) {
    this.device = device;
    this.isChecked = isChecked;
    this.staging = staging;
    this.program = program;
    this.bound = bound;
    this.commands = device.createCommandEncoder();
  }

  /** Encodes a program that waits for nothing. */
  encode(actions: readonly Ready[]): void {
    for (const action of actions) {
      if (action.kind === "dispatch") this.dispatch(action);
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
      if (action.kind === "dispatch") this.dispatch(action);
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
        this.dispatch(gate.dispatch);
        this.encode(body);
      }
      // Whether the next one would be made. After the last one only the count is of interest: it may have ended before.
      if (made < maxSteps) {
        this.encode(test);
        this.dispatch(gate.dispatch);
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
      const { buffer, offset = 0 } = this.resourceOf(place);
      return { gpu: buffer, offset, bytes };
    });
    const copied = this.staging.copy(this.commands, sources);
    this.submit(copied.staging.made);
    this.sent.readBacks++;
    return this.staging.read(copied);
  }

  private dispatch(dispatch: Dispatch): void {
    if (this.pending >= MOST_DISPATCHES) this.submit();
    if (this.pass === null) {
      this.pass = this.commands.beginComputePass();
      this.pipeline = null;
    }
    const { pass } = this;
    const { gpu } = dispatch.pipeline;
    if (gpu !== this.pipeline) pass.setPipeline(gpu);
    this.pipeline = gpu;
    pass.setBindGroup(0, this.groupOf(dispatch));
    if (dispatch.slots !== null && this.program.counters !== null) {
      pass.setBindGroup(1, this.program.counters.group, [this.slotOf(dispatch.slots) * SLOT_BYTES]);
    }
    if (dispatch.gated !== null && this.sizes !== null) {
      pass.dispatchWorkgroupsIndirect(this.sizes, 12 * dispatch.gated);
    } else {
      const [x, y] = dispatch.grid;
      // A call with one argument takes half as long in Node as with two.
      if (y === 1) pass.dispatchWorkgroups(x);
      else pass.dispatchWorkgroups(x, y);
    }
    this.pending++;
    this.sent.dispatches++;
  }

  private copy({ from, to, bytes }: Copy): void {
    this.endPass();
    const [source, target] = [this.resourceOf(from), this.resourceOf(to)];
    this.commands.copyBufferToBuffer(source.buffer, source.offset ?? 0, target.buffer, target.offset ?? 0, bytes);
  }

  private slotOf({ first, counters, lengths }: CounterSlots): number {
    let index = 0;
    counters.forEach((counter, i) => {
      index = index * (lengths[i] ?? 1) + (this.values.get(counter) ?? 0);
    });
    return first + index;
  }

  private groupOf(dispatch: Dispatch): GPUBindGroup {
    const { places, groups, pipeline } = dispatch;
    for (let i = 0; i < groups.length; i++) {
      const known = groups[i];
      if (known === undefined || !this.binds(places, known.ids)) continue;
      if (i > 0) groups.unshift(...groups.splice(i, 1));
      return known.group;
    }
    const entries = places.map((place, binding) => ({ binding, resource: this.resourceOf(place) }));
    const group = this.device.createBindGroup({ layout: pipeline.bindings, entries, label: dispatch.label });
    groups.length = Math.min(groups.length, REMEMBERED - 1);
    groups.unshift({ ids: places.map((place) => this.idOf(place)), group });
    return group;
  }

  private binds(places: readonly BoundPlace[], ids: readonly number[]): boolean {
    for (let i = 0; i < places.length; i++) {
      const place = places[i];
      if (place === undefined || this.idOf(place) !== ids[i]) return false;
    }
    return true;
  }

  /** Memory of the executable's own is always the same. */
  private idOf(place: BoundPlace): number {
    return place.kind === "fixed" ? -1 : this.allocationOf(place).id;
  }

  private allocationOf(place: Exclude<BoundPlace, { readonly kind: "fixed" }>): Allocation {
    const { inputs, outputs, slab } = this.bound;
    const found =
      place.kind === "input" ? inputs[place.index] : place.kind === "output" ? outputs[place.index] : slab(place.slab);
    if (found === undefined) throw new RangeError("a program binds a buffer that it does not have");
    return found;
  }

  private resourceOf(place: BoundPlace): GPUBufferBinding {
    if (place.kind === "fixed") return { buffer: place.buffer };
    const { gpu } = this.allocationOf(place);
    return place.kind === "arena" ? { buffer: gpu, offset: place.offset, size: place.bytes } : { buffer: gpu };
  }

  private endPass(): void {
    this.pass?.end();
    this.pass = null;
  }

  /** @param making memory that is copied to and may turn out not to be there, which is said where it is read */
  private submit(making: Promise<Error | null> | null = null): void {
    const { device } = this;
    const isChecked = this.isChecked || making !== null;
    this.endPass();
    if (isChecked) device.pushErrorScope("validation");
    device.queue.submit([this.commands.finish()]);
    if (isChecked) this.problems.push(unlessMissing(device.popErrorScope(), making));
    this.sent.submits++;
    this.pending = 0;
    this.commands = this.device.createCommandEncoder();
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
