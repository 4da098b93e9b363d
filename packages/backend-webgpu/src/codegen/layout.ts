/** Where the buffers of a program are: inputs and outputs by themselves, temporaries in slabs of an arena. */
import {
  type DType,
  type MemoryPlan,
  OutOfMemoryError,
  type Places,
  planLocals,
  planMemory,
  type Program,
  type ProgramBuffer,
} from "@banach/autograd/backend";

/** What a binding binds. */
export type Place =
  { readonly kind: "input"; readonly index: number } | { readonly kind: "output"; readonly index: number } | ArenaPlace;

/** A part of a slab, in bytes. */
export interface ArenaPlace {
  readonly kind: "arena";
  readonly slab: number;
  readonly offset: number;
  readonly bytes: number;
}

/** Of bindings, in bytes: the most that a device may ask for. */
const ALIGNMENT = 256;

/** Of locals, in bytes. */
const LOCAL_ALIGNMENT = 16;

/** What an element takes in storage: a bool is a word, as WGSL stores none. */
export function elementBytes(dtype: DType): number {
  return dtype === "float16" ? 2 : 4;
}

/** The bytes that a buffer of so many elements takes, a whole number of words. */
export function storageBytes(dtype: DType, size: number): number {
  return Math.max(4, Math.ceil((size * elementBytes(dtype)) / 4) * 4);
}

const roundUp = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

/** For messages of errors. */
export interface LayoutOwner {
  readonly label: string;
  /** Bytes that are live as the program is compiled. */
  readonly live: number;
}

/** The places of one program. */
export class Layout {
  readonly plan: MemoryPlan;
  private readonly places = new Map<ProgramBuffer, Place>();
  private readonly program: Program;
  private readonly slabBytes: number;
  private readonly owner: LayoutOwner;
  /** Bytes used of every slab. */
  private readonly used: number[] = [];

  /**
   * Throws OutOfMemoryError for a temporary that fits in no slab.
   * @param slabBytes the largest binding, of which a slab is one
   */
  constructor(program: Program, slabBytes: number, owner: LayoutOwner) {
    this.program = program;
    this.owner = owner;
    this.slabBytes = Math.floor(slabBytes / ALIGNMENT) * ALIGNMENT;
    this.plan = planMemory(program, ALIGNMENT, { elementBytes, slabBytes: this.slabBytes });
    program.inputs.forEach((buffer, index) => this.places.set(buffer, { kind: "input", index }));
    program.outputs.forEach((buffer, index) => this.places.set(buffer, { kind: "output", index }));
    for (const [buffer, offset] of this.plan.offsets) {
      const slab = Math.floor(offset / this.slabBytes);
      this.places.set(buffer, this.arena(slab, offset % this.slabBytes, storageBytes(buffer.dtype, buffer.size)));
    }
  }

  /** Bytes of each slab that a run needs. */
  get slabs(): readonly number[] {
    return this.used;
  }

  /** The place of an input, an output or a temporary that is not local to a loop. */
  placeOf(buffer: ProgramBuffer): Place {
    const place = this.places.get(buffer);
    if (place === undefined) throw new RangeError(`${buffer.name} has no place in the memory plan`);
    return place;
  }

  /** Bytes for one dispatch at a time, behind what is planned. Throws OutOfMemoryError if they fit in no slab. */
  scratch(bytes: number): ArenaPlace {
    const planned = this.plan.bytes;
    const slab = Math.floor(planned / this.slabBytes);
    const offset = roundUp(planned % this.slabBytes);
    if (offset + bytes <= this.slabBytes) return this.arena(slab, offset, bytes);
    return this.arena(slab + 1, 0, bytes);
  }

  /** Where the locals of a loop are, a word for each element: in workgroup memory, as far as they fit, and in what each workgroup has in storage. */
  locals(locals: readonly ProgramBuffer[], nearBytes: number): { readonly near: Places; readonly far: Places } {
    return planLocals(this.program, locals, { alignment: LOCAL_ALIGNMENT, elementBytes: () => 4, nearBytes });
  }

  private arena(slab: number, offset: number, bytes: number): ArenaPlace {
    if (offset + bytes > this.slabBytes) {
      const { label, live } = this.owner;
      throw new OutOfMemoryError(`${label}: a temporary is larger than a binding of this device may be`, {
        requested: bytes,
        limit: this.slabBytes,
        live,
      });
    }
    while (this.used.length <= slab) this.used.push(0);
    this.used[slab] = Math.max(this.used[slab] ?? 0, roundUp(offset + bytes));
    return { kind: "arena", slab, offset, bytes };
  }
}
