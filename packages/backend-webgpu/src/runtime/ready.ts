/** A program's actions with their pipelines, ready to be encoded any number of times. */
import type { LoopCounter } from "@banach/autograd/backend";
import type { Place } from "../codegen/layout.ts";
import type { Action, Copy, HostFor, HostWhile } from "../codegen/program-shaders.ts";
import { gridOf, type Shader, type ShaderLimits } from "../codegen/shader-writer.ts";
import { BufferUsage } from "../platform/constants.ts";
import type { BoundGroup, BoundGroups } from "./bindings.ts";
import type { Pipeline, Pipelines } from "./pipelines.ts";

/** Bytes of a slot of the uniform that holds loop counters: the alignment of dynamic offsets. */
export const SLOT_BYTES = 256;

/** A place of the program, or memory of the executable's own. */
export type BoundPlace = Place | { readonly kind: "fixed"; readonly buffer: GPUBuffer };

export interface Dispatch {
  /** Counted from 0 over the whole program, those of one body one after the other. */
  readonly number: number;
  readonly label: string;
  readonly pipeline: Pipeline;
  readonly places: readonly BoundPlace[];
  readonly grid: readonly [number, number];
  /** Null if the shader reads no counters. */
  readonly slots: CounterSlots | null;
  /** Where its arguments are among those of the while around it; null outside. */
  readonly gated: number | null;
  /** Bind groups of earlier runs, the last one first. */
  readonly groups: BoundGroup[];
}

/** Slots of the uniform, one for every combination of the counters; the last counter is the fastest. */
export interface CounterSlots {
  readonly first: number;
  readonly counters: readonly LoopCounter[];
  readonly lengths: readonly number[];
}

/** Dispatches with nothing in between, by their numbers. */
export interface Stretch {
  readonly kind: "stretch";
  readonly first: number;
  /** One more than the last. */
  readonly end: number;
}

/**
 * What dispatches give to a pass, by their numbers and away from all else: while a run was computed, the caches of the CPU
 * were emptied, and what lies together is back sooner.
 */
export interface Tape {
  readonly pipelines: readonly GPUComputePipeline[];
  /** Of one dimension; 0 where the dispatch has more of it, counters or a gate. */
  readonly workgroups: readonly number[];
}

export interface ReadyFor extends Omit<HostFor, "body"> {
  readonly body: readonly Ready[];
}

export interface ReadyWhile extends Omit<HostWhile, "test" | "body"> {
  readonly test: readonly Ready[];
  readonly body: readonly Ready[];
  /** Null where something in an iteration waits for the host, so that none can be encoded ahead. */
  readonly gate: Gate | null;
  /** Iterations that the last run made. */
  expected: number;
}

/** Arguments of the dispatches of a while: `dispatch` sets all of them to nothing once the flag is down. */
export interface Gate {
  readonly dispatch: Stretch;
  /** As the loop begins. */
  readonly template: Uint32Array<ArrayBuffer>;
  readonly sizes: GPUBuffer;
}

export type Ready = Stretch | Copy | ReadyFor | ReadyWhile;

export interface ReadyProgram {
  readonly actions: readonly Ready[];
  /** Null if no dispatch reads counters. */
  readonly counters: { readonly buffer: GPUBuffer; readonly group: GPUBindGroup } | null;
  /** Whether the host has to look at flags while it encodes. */
  readonly hasWhile: boolean;
  /** Buffers of the executable's own. */
  readonly own: readonly GPUBuffer[];
  /** By their numbers, however often they are encoded. */
  readonly dispatches: readonly Dispatch[];
  readonly tape: Tape;
  /** Bind groups of earlier runs, the last one first. */
  readonly bound: BoundGroups[];
}

const GATE_SHADER = `@group(0) @binding(0) var<storage, read_write> flag: array<u32>;
@group(0) @binding(1) var<storage, read_write> sizes: array<u32>;
@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32) {
  if (flag[0] != 0u) { return; }
  for (var i = lane; i < arrayLength(&sizes); i += 64u) { sizes[i] = 0u; }
}`;

interface Loop {
  readonly counter: LoopCounter;
  readonly length: number;
}

/** Makes the pipelines of a program, all at once, and what else its dispatches need. */
export class ProgramMaker {
  private readonly device: GPUDevice;
  private readonly pipelines: Pipelines;
  private readonly limits: ShaderLimits;
  /** Words of the slots so far. */
  private readonly words: Uint32Array[] = [];
  private readonly slots = new Map<string, CounterSlots>();
  private readonly own: GPUBuffer[] = [];
  private hasWhile = false;
  private readonly dispatches: Dispatch[] = [];
  private numbers = 0;

  constructor(device: GPUDevice, pipelines: Pipelines, limits: ShaderLimits) {
    this.device = device;
    this.pipelines = pipelines;
    this.limits = limits;
  }

  /** Rejects with BanachError for a shader that the device refuses; then nothing is left of the executable's own. */
  async make(actions: readonly Action[]): Promise<ReadyProgram> {
    try {
      const ready = await this.all(actions, [], null);
      const { hasWhile, own, dispatches } = this;
      const tape = tapeOf(dispatches);
      return { actions: ready, counters: this.makeCounters(), hasWhile, own, dispatches, tape, bound: [] };
    } catch (error) {
      for (const buffer of this.own) buffer.destroy();
      throw error;
    }
  }

  private async all(actions: readonly Action[], loops: readonly Loop[], sizes: number[] | null): Promise<Ready[]> {
    const ready = await allEnded(
      actions.map((action): Promise<Ready> => {
        if (action.kind === "copy") return Promise.resolve(action);
        if (action.kind === "dispatch") return this.dispatch(action.shader, loops, sizes);
        return action.kind === "for" ? this.for(action, loops, sizes) : this.while(action, loops);
      }),
    );
    return joined(ready);
  }

  private async dispatch(shader: Shader, loops: readonly Loop[], sizes: number[] | null): Promise<Stretch> {
    const grid = gridOf(shader.workgroups, this.limits);
    const gated = sizes === null ? null : sizes.push(...grid, 1) / 3 - 1;
    const slots = shader.counters.length === 0 ? null : this.slotsOf(shader.counters, loops);
    // Before anything is waited for: numbers follow the order of the program.
    const number = this.numbers++;
    const pipeline = await this.pipelines.get(shader);
    const places = shader.bindings.map(({ place }) => place);
    this.dispatches[number] = { number, label: shader.label, pipeline, places, grid, slots, gated, groups: [] };
    return { kind: "stretch", first: number, end: number + 1 };
  }

  private async for(action: HostFor, loops: readonly Loop[], sizes: number[] | null): Promise<ReadyFor> {
    return { ...action, body: await this.all(action.body, [...loops, action], sizes) };
  }

  private async while(action: HostWhile, loops: readonly Loop[]): Promise<ReadyWhile> {
    this.hasWhile = true;
    const waits = [...action.test, ...action.body].some(containsWhile);
    const sizes: number[] | null = waits ? null : [];
    // In this order, so that arguments are numbered as they are used.
    const [test = [], body = []] = await allEnded([
      this.all(action.test, loops, sizes),
      this.all(action.body, loops, sizes),
    ]);
    const gate = sizes === null ? null : await this.gate(action.flag, sizes);
    return { ...action, test, body, gate, expected: 1 };
  }

  private async gate(flag: Place, sizes: readonly number[]): Promise<Gate> {
    const template = Uint32Array.from(sizes.length === 0 ? [0] : sizes);
    const usage = BufferUsage.STORAGE | BufferUsage.INDIRECT | BufferUsage.COPY_DST;
    const buffer = this.device.createBuffer({ size: template.byteLength, usage, label: "sizes of a while" });
    this.own.push(buffer);
    const bindings = [flag, flag].map((place) => ({ place, isWritten: true }));
    const shader: Shader = { label: "gate", code: GATE_SHADER, bindings, workgroups: 1, counters: [] };
    const number = this.numbers++;
    this.dispatches[number] = {
      number,
      label: "gate",
      pipeline: await this.pipelines.get(shader),
      places: [flag, { kind: "fixed", buffer }],
      grid: [1, 1],
      slots: null,
      gated: null,
      groups: [],
    };
    const dispatch: Stretch = { kind: "stretch", first: number, end: number + 1 };
    return { dispatch, template, sizes: buffer };
  }

  private slotsOf(counters: readonly LoopCounter[], loops: readonly Loop[]): CounterSlots {
    const key = counters.map(({ name }) => name).join();
    const known = this.slots.get(key);
    if (known !== undefined) return known;
    const lengths = counters.map((counter) => {
      const loop = loops.find((enclosing) => enclosing.counter === counter);
      if (loop === undefined) throw new RangeError(`a shader reads ${counter.name} outside its loop`);
      return loop.length;
    });
    const made = { first: this.words.length, counters, lengths };
    const values = counters.map(() => 0);
    const count = lengths.reduce((product, length) => product * length, 1);
    for (let slot = 0; slot < count; slot++) {
      const words = new Uint32Array(SLOT_BYTES / 4);
      words.set(values);
      this.words.push(words);
      for (let i = values.length - 1; i >= 0; i--) {
        const next = (values[i] ?? 0) + 1;
        values[i] = next === lengths[i] ? 0 : next;
        if (values[i] !== 0) break;
      }
    }
    this.slots.set(key, made);
    return made;
  }

  private makeCounters(): ReadyProgram["counters"] {
    if (this.words.length === 0) return null;
    const all = new Uint32Array((this.words.length * SLOT_BYTES) / 4);
    this.words.forEach((words, slot) => {
      all.set(words, (slot * SLOT_BYTES) / 4);
    });
    const usage = BufferUsage.UNIFORM | BufferUsage.COPY_DST;
    const buffer = this.device.createBuffer({ size: all.byteLength, usage, label: "loop counters" });
    this.device.queue.writeBuffer(buffer, 0, all);
    this.own.push(buffer);
    const layout = this.pipelines.counters;
    const entries = [{ binding: 0, resource: { buffer, size: SLOT_BYTES } }];
    return { buffer, group: this.device.createBindGroup({ layout, entries, label: "loop counters" }) };
  }
}

/** Neighbouring stretches as one. */
function joined(actions: readonly Ready[]): Ready[] {
  const found: Ready[] = [];
  for (const action of actions) {
    const last = found.at(-1);
    if (action.kind === "stretch" && last?.kind === "stretch" && last.end === action.first) {
      found[found.length - 1] = { ...last, end: action.end };
    } else found.push(action);
  }
  return found;
}

function tapeOf(dispatches: readonly Dispatch[]): Tape {
  return {
    pipelines: dispatches.map(({ pipeline }) => pipeline.gpu),
    workgroups: dispatches.map(({ grid: [x, y], slots, gated }) =>
      y === 1 && slots === null && gated === null ? x : 0,
    ),
  };
}

/** As `Promise.all`, but rejects once none is pending: what the others would make is made. */
async function allEnded<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(promises);
  return Promise.all(promises);
}

function containsWhile(action: Action): boolean {
  return action.kind === "while" || (action.kind === "for" && action.body.some(containsWhile));
}
