/**
 * Where a program's buffers lie while it runs: pointers in globals, temporaries at fixed offsets of one arena, of which
 * every thread has a part for itself.
 */
import {
  type Access,
  byteLengthOf,
  type LoopCounter,
  type MemoryPlan,
  type Program,
  type ProgramBuffer,
} from "@banach/autograd/backend";
import { type Expr, type FunctionBuilder, type Global, type I32, i32, type ModuleBuilder } from "../wasm/index.ts";

const ALIGNMENT = 16;

/** Threads that write to one line take it from each other. */
const CACHE_LINE = 64;

const roundUp = (bytes: number, unit: number): number => Math.ceil(bytes / unit) * unit;

/** A range of bytes: of the arena, or for a buffer that is given from outside, of that. */
export interface Extent {
  readonly region: object;
  readonly from: number;
  readonly to: number;
}

/** Bytes of one element in memory. */
export function elementBytes(buffer: ProgramBuffer): number {
  return byteLengthOf({ dtype: buffer.dtype, shape: [1] });
}

/** Pointers and loop counters of a program that is being written. */
export class Layout {
  readonly module: ModuleBuilder;
  private readonly pointers = new Map<ProgramBuffer, Global<"i32", true>>();
  private readonly counters = new Map<LoopCounter, Global<"i32", true>>();
  private readonly arena: Global<"i32", true>;
  /** Where this thread's own part of the arena starts. */
  private readonly own: Global<"i32", true>;
  private readonly plan: MemoryPlan;
  private scratchBytes = 0;

  constructor(module: ModuleBuilder, program: Program, plan: MemoryPlan) {
    this.module = module;
    this.plan = plan;
    for (const buffer of [...program.inputs, ...program.outputs]) {
      this.pointers.set(buffer, module.global("i32", 0, { mutable: true }));
    }
    this.arena = module.global("i32", 0, { mutable: true });
    this.own = module.global("i32", 0, { mutable: true });
  }

  /** Bytes of the arena: temporaries, then for each thread the locals of loops and the scratch memory of kernels. */
  arenaBytes(threads: number): number {
    return this.sharedBytes + threads * this.ownBytes;
  }

  /** Reads the table of addresses: inputs, outputs, arena. To be written after all kernels, whose scratch it has room for. */
  loadPointers(f: FunctionBuilder, table: Expr<"i32">, thread: I32): void {
    let at = 0;
    for (const pointer of [...this.pointers.values(), this.arena]) {
      f.set(pointer, i32.load(table, at));
      at += 4;
    }
    f.set(this.own, i32.add(i32.add(this.arena, this.sharedBytes), i32.mul(thread, this.ownBytes)));
  }

  /** Number of addresses in the table. */
  get tableLength(): number {
    return this.pointers.size + 1;
  }

  counter(loop: LoopCounter): Global<"i32", true> {
    const known = this.counters.get(loop) ?? this.module.global("i32", 0, { mutable: true });
    this.counters.set(loop, known);
    return known;
  }

  /** Byte address of element 0 of a buffer. */
  base(buffer: ProgramBuffer): Expr<"i32"> {
    const pointer = this.pointers.get(buffer);
    if (pointer !== undefined) return pointer;
    const local = this.plan.local.offsets.get(buffer);
    return local === undefined ? i32.add(this.arena, this.offsetOf(buffer)) : i32.add(this.own, local);
  }

  /** What a kernel touches when it touches a buffer; null for memory that no other thread sees. */
  extentOf(buffer: ProgramBuffer): Extent | null {
    if (this.plan.local.offsets.has(buffer)) return null;
    if (this.pointers.has(buffer)) return { region: buffer, from: 0, to: 1 };
    const from = this.offsetOf(buffer);
    return { region: this.arena, from, to: from + buffer.size * elementBytes(buffer) };
  }

  /** Byte address of an access where every axis is at 0, in the current steps of the loops around it. */
  start(buffer: ProgramBuffer, access: Access): Expr<"i32"> {
    const bytes = elementBytes(buffer);
    let address = i32.add(this.base(buffer), access.offset * bytes);
    for (const { counter, stride } of access.loops) {
      address = i32.add(address, i32.mul(this.counter(counter), stride * bytes));
    }
    return address;
  }

  /** The value of an affine map where every axis is at 0. */
  startIndex(access: Access): Expr<"i32"> {
    let value: Expr<"i32"> = i32.const(access.offset);
    for (const { counter, stride } of access.loops) value = i32.add(value, i32.mul(this.counter(counter), stride));
    return value;
  }

  /** Memory that a thread uses while it runs one kernel; kernels run one after the other and share it. */
  scratch(): (bytes: number) => Expr<"i32"> {
    let used = 0;
    return (bytes) => {
      const offset = this.plan.local.bytes + used;
      used += roundUp(bytes, ALIGNMENT);
      this.scratchBytes = Math.max(this.scratchBytes, used);
      return i32.add(this.own, offset);
    };
  }

  private get sharedBytes(): number {
    return roundUp(this.plan.bytes, CACHE_LINE);
  }

  private get ownBytes(): number {
    return roundUp(this.plan.local.bytes + this.scratchBytes, CACHE_LINE);
  }

  private offsetOf(buffer: ProgramBuffer): number {
    const offset = this.plan.offsets.get(buffer);
    if (offset === undefined) throw new RangeError(`${buffer.name} has no place in the memory plan`);
    return offset;
  }
}
