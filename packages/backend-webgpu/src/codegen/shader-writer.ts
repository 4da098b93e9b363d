/** Writes one compute shader: the statements of its entry point, and whatever they turn out to need around them. */
import {
  type DType,
  FEW_WORKGROUPS,
  type LoopCounter,
  MANY_WORKGROUPS,
  type ProgramBuffer,
  type WorkgroupLimits,
} from "@banach/autograd/backend";
import { functionsText } from "../wgsl/functions.ts";
import { literal } from "../wgsl/operations.ts";
import type { Layout, Place } from "./layout.ts";
import { segmentsOf, type Temporary } from "./segments.ts";

export interface Binding {
  readonly place: Place;
  readonly isWritten: boolean;
}

/** One dispatch. */
export interface Shader {
  readonly label: string;
  readonly code: string;
  readonly bindings: readonly Binding[];
  /** Workgroups in all; more than fit along x go on along y, see `gridOf`. */
  readonly workgroups: number;
  /** Of the enclosing loops, in the order of the words that the uniform holds. */
  readonly counters: readonly LoopCounter[];
}

/** What code generation has to keep to. */
export interface ShaderLimits {
  readonly storageBuffers: number;
  /** Invocations per workgroup: a power of two. */
  readonly invocations: number;
  /** Neighbours by number that are surely in one subgroup: a power of two, 1 without subgroups. */
  readonly subgroup: number;
  /** Bytes of workgroup memory. */
  readonly workgroupBytes: number;
  readonly workgroupsPerDimension: number;
  readonly tuning: Tuning;
}

/** What the machine behind the device likes. Results differ by rounding only. */
export interface Tuning {
  /** Invocations that keep it busy: beyond, a sum is not divided among more of them. */
  readonly busy: number;
  /** Invocations beyond which each had better have several points than a point of its own. */
  readonly most: number;
  /** Whether data that a workgroup shares is faster in its own memory, and waiting for each other is cheap. */
  readonly tiles: boolean;
  /** How loops over rows are divided. */
  readonly rows: WorkgroupLimits;
  /** Words that an invocation may keep to itself from kernel to kernel. */
  readonly registers: number;
}

/** Thousands of invocations hide each other's latency. */
export const HARDWARE: Tuning = { busy: 16384, most: Infinity, tiles: true, rows: MANY_WORKGROUPS, registers: 64 };

/** A processor plays the GPU: a few cores, caches, and a barrier is a switch of context per invocation. */
export const SOFTWARE: Tuning = { busy: 64, most: 4096, tiles: false, rows: FEW_WORKGROUPS, registers: 512 };

/** Workgroups along x and y. */
export function gridOf(workgroups: number, { workgroupsPerDimension }: ShaderLimits): readonly [number, number] {
  const y = Math.ceil(workgroups / workgroupsPerDimension);
  return [Math.ceil(workgroups / y), y];
}

/** How elements of a buffer are spelt. */
interface Cell {
  readonly name: string;
  readonly element: string;
  /** Elements, or vectors, before its first. */
  readonly base: string;
  /** Whether it is an array of vectors of four elements. */
  readonly isVector: boolean;
}

/** The type that an element of a dtype has in memory. */
export function storedType(dtype: DType): string {
  switch (dtype) {
    case "float32":
      return "f32";
    case "float16":
      return "f16";
    case "int32":
      return "i32";
    default:
      return "u32";
  }
}

/** A value as an element in memory holds it. */
function storedText(dtype: DType, element: string, value: string, use: (name: string) => string): string {
  if (dtype === "bool") return `select(0u, 1u, ${value})`;
  if (element === "f16") return `f16(${value})`;
  if (dtype === "float16") return `bitcast<u32>(${use("fp_to_f16")}(${value}))`;
  return storedType(dtype) === element ? value : `bitcast<u32>(${value})`;
}

export class ShaderWriter {
  readonly limits: ShaderLimits;
  readonly layout: Layout;
  private readonly functions = new Set<string>();
  private readonly cells = new Map<ProgramBuffer, Cell>();
  private readonly bindings: (Binding & { readonly element: string })[] = [];
  private readonly counters: LoopCounter[] = [];
  private readonly named = new Map<LoopCounter, string>();
  private readonly workgroupVariables: string[] = [];
  /** By the type of the elements and what they are for. */
  private readonly scratches = new Map<string, string>();
  private scratchIsRead = false;
  private readonly own = new Map<string, string>();
  private readonly lines: string[] = [];
  private depth = 1;
  private names = 0;
  private usesHalf = false;
  private usesSubgroups = false;

  constructor(layout: Layout, limits: ShaderLimits) {
    this.layout = layout;
    this.limits = limits;
  }

  /**
   * Binds what the shader touches: each buffer by itself, or temporaries by segments of slabs where there are too many.
   * @param vectors buffers to bind as arrays of vectors where that is possible, see `isVector`
   */
  bind(
    read: Iterable<ProgramBuffer>,
    written: ReadonlySet<ProgramBuffer>,
    vectors: ReadonlySet<ProgramBuffer> = new Set(),
  ): void {
    const temporaries: Temporary[] = [];
    for (const buffer of new Set([...read, ...written])) {
      // What is empty has no place to bind, and is never read in earnest.
      if (buffer.size === 0) continue;
      const place = this.layout.placeOf(buffer);
      const element = storedType(buffer.dtype);
      const isVector = vectors.has(buffer) && buffer.size % 4 === 0;
      if (place.kind === "arena") temporaries.push({ buffer, place, element, isVector });
      else {
        const name = this.addBinding(place, written.has(buffer), element, isVector);
        this.cells.set(buffer, { name, element, base: "", isVector });
      }
    }
    for (const segment of segmentsOf(temporaries, this.limits.storageBuffers - this.bindings.length)) {
      const { element, isVector } = segment;
      // A slab may be written in one place and read in another by the same dispatch only where both may write.
      const name = this.addBinding(segment.place, true, element, isVector);
      const bytes = (element === "f16" ? 2 : 4) * (isVector ? 4 : 1);
      for (const { buffer, place } of segment.temporaries) {
        const before = (place.offset - segment.place.offset) / bytes;
        this.cells.set(buffer, { name, element, base: before === 0 ? "" : `${before}u + `, isVector });
      }
    }
    if (this.bindings.length > this.limits.storageBuffers) {
      throw new RangeError(`a shader binds ${this.bindings.length} buffers, of ${this.limits.storageBuffers} at most`);
    }
  }

  private addBinding(place: Place, isWritten: boolean, type: string, isVector = false): string {
    this.usesHalf ||= type === "f16";
    this.bindings.push({ place, isWritten, element: isVector ? `vec4<${type}>` : type });
    return `b${this.bindings.length - 1}`;
  }

  /** An array in storage that no buffer of the program stands for. */
  bindScratch(place: Place, element: string): string {
    return this.addBinding(place, true, element);
  }

  /** Has a buffer live elsewhere: at `base` words into an array of words. */
  place(buffer: ProgramBuffer, name: string, base: string): void {
    this.cells.set(buffer, { name, element: "u32", base, isVector: false });
  }

  /** The variable that a buffer lives in. */
  nameOf(buffer: ProgramBuffer): string {
    return this.cellOf(buffer).name;
  }

  /** Workgroups of the grid that so many of them are dispatched in. */
  groupsOf(workgroups: number): number {
    const [x, y] = gridOf(workgroups, this.limits);
    return x * y;
  }

  /** A variable of the workgroup; returns its name. */
  workgroup(type: string, hint = "w"): string {
    const name = `${hint}${this.workgroupVariables.length}`;
    this.workgroupVariables.push(`var<workgroup> ${name}: ${type};`);
    return name;
  }

  /** An array of the workgroup with an element per lane; reductions share those of one type and `use`. */
  scratch(type: string, use: number | string): string {
    const key = `${type} ${use}`;
    let name = this.scratches.get(key);
    if (name === undefined) {
      name = this.workgroup(`array<${type}, ${this.limits.invocations}>`, "parts");
      this.scratches.set(key, name);
    }
    return name;
  }

  /** Writes a barrier if other lanes may still be reading what an earlier reduction left in scratch memory. */
  takeScratch(): void {
    if (this.scratchIsRead) this.line("workgroupBarrier();");
    this.scratchIsRead = true;
  }

  /** Everybody has passed a barrier since. */
  scratchIsFree(): void {
    this.scratchIsRead = false;
  }

  /** The value that the neighbour has whose number differs in `bits`, all below the size of a subgroup. */
  shuffled(value: string, bits: number): string {
    this.usesSubgroups = true;
    return `subgroupShuffleXor(${value}, ${bits}u)`;
  }

  /** A function of this shader's own; returns its name. */
  define(name: string, source: string): string {
    this.own.set(name, source);
    return name;
  }

  /** Whether whole quads of a buffer can be loaded, and must be stored. */
  isVector(buffer: ProgramBuffer): boolean {
    return this.cells.get(buffer)?.isVector ?? false;
  }

  /** The value of an element. */
  load(buffer: ProgramBuffer, index: string): string {
    if (buffer.size === 0) return literal(buffer.dtype, 0);
    const { name, element, base, isVector } = this.cellOf(buffer);
    const at = isVector && index.includes(" ") ? this.let(index, "a") : index;
    const cell = isVector ? `${name}[${base}(${at} >> 2u)][${at} & 3u]` : `${name}[${base}${at}]`;
    if (buffer.dtype === "bool") return `(${cell} != 0u)`;
    if (element === "f16") return `f32(${cell})`;
    // A word of its own, as a local.
    if (buffer.dtype === "float16") return `bitcast<f32>(${cell})`;
    const type = storedType(buffer.dtype);
    return type === element ? cell : `bitcast<${type}>(${cell})`;
  }

  store(buffer: ProgramBuffer, index: string, value: string): void {
    const { name, element, base, isVector } = this.cellOf(buffer);
    if (isVector) throw new RangeError(`${buffer.name} is stored by quads`);
    this.line(`${name}[${base}${index}] = ${storedText(buffer.dtype, element, value, this.use)};`);
  }

  /** The values of the four elements of a vector. */
  loadQuad(buffer: ProgramBuffer, vector: string): string {
    const { name, element, base } = this.cellOf(buffer);
    const cell = `${name}[${base}${vector}]`;
    if (buffer.dtype === "bool") return `(${cell} != vec4<u32>())`;
    if (element === "f16") return `vec4<f32>(${cell})`;
    const type = storedType(buffer.dtype);
    return type === element ? cell : `bitcast<vec4<${type}>>(${cell})`;
  }

  storeQuad(buffer: ProgramBuffer, vector: string, values: readonly string[]): void {
    const { name, element, base } = this.cellOf(buffer);
    const stored = values.map((value) => storedText(buffer.dtype, element, value, this.use));
    this.line(`${name}[${base}${vector}] = vec4<${element}>(${stored.join(", ")});`);
  }

  /** A value as it would be read again from memory of a dtype. */
  rounded(dtype: DType, value: string): string {
    return dtype === "float16" ? `${this.use("fp_to_f16")}(${value})` : value;
  }

  private cellOf(buffer: ProgramBuffer): Cell {
    const cell = this.cells.get(buffer);
    if (cell === undefined) throw new RangeError(`${buffer.name} is not bound`);
    return cell;
  }

  /** The value of a loop's counter: a variable where the loop is in the shader, else what the dispatch is told. */
  counter(counter: LoopCounter): string {
    const variable = this.named.get(counter);
    if (variable !== undefined) return variable;
    let slot = this.counters.indexOf(counter);
    if (slot === -1) slot = this.counters.push(counter) - 1;
    return `counters[${slot >> 2}].${"xyzw".charAt(slot & 3)}`;
  }

  /** Has a variable stand for a counter. */
  nameCounter(counter: LoopCounter, variable: string): void {
    this.named.set(counter, variable);
  }

  /** Asks for a library function; returns its name. */
  readonly use = (name: string): string => {
    this.functions.add(name);
    return name;
  };

  fresh(hint: string): string {
    return `${hint}${this.names++}`;
  }

  line(text: string): void {
    this.lines.push("  ".repeat(this.depth) + text);
  }

  /** `let` with a fresh name. */
  let(text: string, hint = "v"): string {
    const name = this.fresh(hint);
    this.line(`let ${name} = ${text};`);
    return name;
  }

  block(head: string, body: () => void): void {
    this.line(`${head} {`);
    this.depth++;
    body();
    this.depth--;
    this.line("}");
  }

  finish(label: string, workgroups: number): Shader {
    const [x] = gridOf(workgroups, this.limits);
    const words = Math.max(1, Math.ceil(this.counters.length / 4));
    const code = [
      ...(this.usesHalf ? ["enable f16;"] : []),
      ...(this.usesSubgroups ? ["enable subgroups;"] : []),
      ...this.bindings.map(
        ({ isWritten, element }, i) =>
          `@group(0) @binding(${i}) var<storage, ${isWritten ? "read_write" : "read"}> b${i}: array<${element}>;`,
      ),
      ...(this.counters.length > 0 ? [`@group(1) @binding(0) var<uniform> counters: array<vec4<u32>, ${words}>;`] : []),
      ...this.workgroupVariables,
      functionsText(this.functions),
      ...this.own.values(),
      `@compute @workgroup_size(${this.limits.invocations})`,
      "fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {",
      `  let group = workgroup.x + workgroup.y * ${x}u;`,
      ...this.lines,
      "}",
    ].join("\n");
    const bindings = this.bindings.map(({ place, isWritten }) => ({ place, isWritten }));
    return { label, code, bindings, workgroups, counters: this.counters };
  }
}
