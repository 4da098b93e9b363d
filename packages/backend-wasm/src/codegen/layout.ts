/** Where a program's buffers lie while it runs: pointers in globals, temporaries at fixed offsets of one arena. */
import {
  type Access,
  byteLengthOf,
  type LoopCounter,
  type MemoryPlan,
  type Program,
  type ProgramBuffer,
} from "@banach/autograd/backend";
import { type Expr, type FunctionBuilder, type Global, i32, type ModuleBuilder } from "../wasm/index.ts";

const ALIGNMENT = 16;

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
  private readonly plan: MemoryPlan;
  private scratchBytes = 0;

  constructor(module: ModuleBuilder, program: Program, plan: MemoryPlan) {
    this.module = module;
    this.plan = plan;
    for (const buffer of [...program.inputs, ...program.outputs]) {
      this.pointers.set(buffer, module.global("i32", 0, { mutable: true }));
    }
    this.arena = module.global("i32", 0, { mutable: true });
  }

  /** Bytes of the arena: temporaries, then the scratch memory that the largest kernel asked for. */
  get arenaBytes(): number {
    return this.plan.bytes + this.scratchBytes;
  }

  /** Reads the table of addresses: inputs, outputs, arena. */
  loadPointers(f: FunctionBuilder, table: Expr<"i32">): void {
    let at = 0;
    for (const pointer of [...this.pointers.values(), this.arena]) {
      f.set(pointer, i32.load(table, at));
      at += 4;
    }
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
    const offset = this.plan.offsets.get(buffer);
    if (offset === undefined) throw new RangeError(`${buffer.name} has no place in the memory plan`);
    return i32.add(this.arena, offset);
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

  /** Memory that one kernel uses while it runs; kernels run one after the other and share it. */
  scratch(): (bytes: number) => Expr<"i32"> {
    let used = 0;
    return (bytes) => {
      const offset = this.plan.bytes + used;
      used += Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
      this.scratchBytes = Math.max(this.scratchBytes, used);
      return i32.add(this.arena, offset);
    };
  }
}
