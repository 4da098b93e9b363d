/** Writes the kernels of a region whose invocations own elements of rows, see row-plan.ts. */
import {
  type Access,
  type Expression,
  type ForLoop,
  isKernel,
  type Kernel,
  type LoopCounter,
  type ProgramBuffer,
  type Read,
  type Store,
  visitSteps,
  type WhileLoop,
  writtenBy,
} from "@banach/autograd/backend";
import { scalarType } from "../wgsl/operations.ts";
import { PointWriter } from "./point-writer.ts";
import { range } from "./range.ts";
import { Accumulator } from "./reduce.ts";
import type { RowKernel } from "./row-form.ts";
import { gatheredBy, isOwn, keyOf, readsOf, type RowPlan, touchedBy } from "./row-plan.ts";
import type { ShaderWriter } from "./shader-writer.ts";

/** Parts that an invocation reads between two barriers, as lanes combine a row. */
const RADIX = 8;

/** What was loaded before a loop in which it does not change: one name, or one for each element. */
interface Loaded {
  readonly buffer: ProgramBuffer;
  readonly key: string;
  readonly names: readonly string[];
}

/** What registers hold while a loop runs. */
export interface Entered {
  /** Read from memory as the loop begins. */
  readonly held: readonly ProgramBuffer[];
  /** To be called behind the loop: stores what it changed, and returns where. */
  readonly leave: () => readonly ProgramBuffer[];
}

/** How a loop touches a buffer. */
interface Touched {
  readonly buffer: ProgramBuffer;
  /** In the form of rows, each once. */
  readonly accesses: Access[];
  isWritten: boolean;
  /** Whether there are no others. */
  isFree: boolean;
}

export class RowWriter {
  private readonly w: ShaderWriter;
  private readonly plan: RowPlan;
  private readonly row: string;
  /** Which of the lanes of its row an invocation is. */
  private readonly part: string;
  private readonly columns: readonly string[];
  private readonly registers = new Map<ProgramBuffer, readonly string[]>();
  /** What holds for what stores to memory: of a value for each row, and of one for each element; empty if it always does. */
  private readonly stores: { readonly narrow: string; readonly wide: string };
  private loaded: readonly Loaded[] = [];
  private room: number;
  /** Of the two scratch arrays that sums take in turns, so that one barrier for each exchange is enough. */
  private turn = 0;
  /** Whether lanes may be reading a scratch array. */
  private exchanged = false;

  constructor(w: ShaderWriter, plan: RowPlan) {
    this.w = w;
    this.plan = plan;
    const { shape, perRow, invocations, residents } = plan;
    const used = shape.rows * perRow;
    // Lanes without a row do the work of the last one again, and store nothing.
    const row = perRow === 1 ? "lane" : `lane / ${perRow}u`;
    this.row = shape.rows === 1 ? "0u" : w.let(used < invocations ? `min(${row}, ${shape.rows - 1}u)` : row, "row");
    this.part = perRow === 1 ? "0u" : w.let(`lane % ${perRow}u`, "part");
    // Neighbouring lanes on neighbouring columns.
    this.columns = range(shape.columns / perRow).map((i) =>
      i === 0 ? this.part : w.let(`${this.part} + ${i * perRow}u`, "c"),
    );
    const hasRow = used < invocations ? [`lane < ${used}u`] : [];
    const isFirst = perRow > 1 ? [`${this.part} == 0u`] : [];
    this.stores = { narrow: [...isFirst, ...hasRow].join(" && "), wide: hasRow.join(" && ") };
    this.room = w.limits.tuning.registers;
    for (const [buffer, form] of residents) {
      const names = (form === "wide" ? this.columns : [""]).map(() => w.fresh("own"));
      for (const name of names) w.line(`var ${name}: ${scalarType(buffer.dtype)};`);
      this.registers.set(buffer, names);
      this.room -= names.length;
    }
  }

  isResident(buffer: ProgramBuffer): boolean {
    return this.registers.has(buffer);
  }

  /** Whether nothing changes a buffer as long as the loops run that are being written. */
  isLoaded(buffer: ProgramBuffer): boolean {
    return this.loaded.some((loaded) => loaded.buffer === buffer);
  }

  /** False if the kernel has to be written in another way. */
  write(kernel: Kernel): boolean {
    const row = this.plan.kernels.get(kernel);
    if (row === undefined) return false;
    const { form, reduction, stores } = row;
    const isWide = form === "wide";
    const sum = form === "across" && reduction !== null ? this.across(reduction) : null;
    const points = (): readonly PointWriter[] => {
      const sums = sum === null && reduction !== null ? this.alone(reduction, isWide) : [];
      const names = new Map<string, string>();
      return this.elements(isWide).map((element, i) => this.point(element, names, sum ?? sums[i]));
    };
    if (!stores.some(({ buffer }) => this.registers.has(buffer))) {
      // Of use to nobody but those that store it.
      this.guarded(isWide, () => {
        this.store(stores, points(), null);
      });
      return true;
    }
    const read = new Set([...readsOf(row).map(({ buffer }) => buffer), ...gatheredBy(kernel)]);
    const overwrites = stores.some(({ buffer }) => read.has(buffer) && !this.registers.has(buffer));
    this.store(stores, points(), (inMemory) => {
      // What one lane stores, those may be reading yet that compute the same for their registers.
      if (overwrites && this.guardOf(isWide) !== "") {
        this.w.line("storageBarrier();");
        this.w.line("workgroupBarrier();");
      }
      this.guarded(isWide, inMemory);
    });
    return true;
  }

  /** Has every lane wait, if another one may still be reading what it is about to write. */
  settle(): void {
    if (this.exchanged) this.w.line("workgroupBarrier();");
    this.settled();
  }

  /** Everybody has passed a barrier since. */
  settled(): void {
    this.exchanged = false;
  }

  /**
   * Has registers hold, while a loop runs, what its kernels touch in one way alone and what they read and do not change,
   * as far as there is room.
   */
  enter(loop: ForLoop | WhileLoop): Entered {
    const before = { loaded: this.loaded, room: this.room };
    const held: ProgramBuffer[] = [];
    const changed: { readonly buffer: ProgramBuffer; readonly access: Access }[] = [];
    for (const { buffer, accesses, isWritten, isFree } of this.touchesIn(loop)) {
      if (this.registers.has(buffer) || (isWritten && (!isFree || accesses.length !== 1))) continue;
      for (const access of accesses) {
        const read: Read = { kind: "read", dtype: buffer.dtype, buffer, access };
        const elements = this.elements((access.strides[1] ?? 0) !== 0);
        if (elements.length > this.room || this.known(read, -1) !== undefined) continue;
        this.room -= elements.length;
        const shared = new Map<string, string>();
        const names = elements.map((element) => this.point(element, shared).value(read));
        held.push(buffer);
        if (isWritten) {
          changed.push({ buffer, access });
          const variables = names.map((name) => this.variable(name));
          this.registers.set(buffer, variables);
        } else {
          this.loaded = [...this.loaded, { buffer, key: keyOf(access), names }];
        }
      }
    }
    const leave = (): readonly ProgramBuffer[] => {
      this.loaded = before.loaded;
      this.room = before.room;
      for (const { buffer, access } of changed) {
        const names = this.registers.get(buffer) ?? [];
        const isWide = names.length > 1 || (access.strides[1] ?? 0) !== 0;
        this.registers.delete(buffer);
        this.guarded(isWide, () => {
          this.elements(isWide).forEach((element, i) => {
            this.w.store(buffer, this.point(element, new Map()).address(access), names[i] ?? "");
          });
        });
      }
      return changed.map(({ buffer }) => buffer);
    };
    return { held, leave };
  }

  private variable(value: string): string {
    const name = this.w.fresh("own");
    this.w.line(`var ${name} = ${value};`);
    return name;
  }

  /** Where the kernels of a loop touch each buffer, written ones first; moving accesses are left out, and make it not free. */
  private touchesIn(loop: ForLoop | WhileLoop): readonly Touched[] {
    const found = new Map<ProgramBuffer, Touched & { readonly keys: Set<string> }>();
    const of = (buffer: ProgramBuffer) => {
      const touched = found.get(buffer) ?? { buffer, accesses: [], keys: new Set(), isWritten: false, isFree: true };
      found.set(buffer, touched);
      return touched;
    };
    const counters = new Set<LoopCounter>();
    const see = (buffer: ProgramBuffer, access: Access): void => {
      const touched = of(buffer);
      const [, , term = 0] = access.strides;
      if (term !== 0 || access.loops.some(({ counter }) => counters.has(counter))) touched.isFree = false;
      else if (!touched.keys.has(keyOf(access))) touched.accesses.push(access);
      touched.keys.add(keyOf(access));
    };
    visitSteps([loop], (step) => {
      if (step.kind === "for") counters.add(step.counter);
      // The loop itself looks at it.
      if (step.kind === "while") of(step.flag).isFree = false;
      if (!isKernel(step)) return;
      for (const buffer of writtenBy(step)) of(buffer).isWritten = true;
      const kernel = this.plan.kernels.get(step);
      if (kernel === undefined) {
        for (const buffer of touchedBy(step)) of(buffer).isFree = false;
        return;
      }
      for (const { buffer, access } of readsOf(kernel)) see(buffer, access);
      for (const { buffer, access } of kernel.stores) {
        see(buffer, access);
        if (!isOwn(kernel, access)) of(buffer).isFree = false;
      }
      for (const buffer of gatheredBy(step)) of(buffer).isFree = false;
    });
    return [...found.values()].sort((a, b) => Number(b.isWritten) - Number(a.isWritten));
  }

  /** Elements by number, or -1 for what a row has once. */
  private elements(isWide: boolean): readonly number[] {
    return isWide ? this.columns.map((_, i) => i) : [-1];
  }

  private axes(element: number): readonly string[] {
    return [this.row, element === -1 ? "0u" : (this.columns[element] ?? "")];
  }

  private point(element: number, names: Map<string, string>, accumulated?: string, term?: string): PointWriter {
    const axes = [...this.axes(element), ...(term === undefined ? [] : [term])];
    const context = { names, known: (read: Read) => this.known(read, element) };
    return new PointWriter(this.w, axes, accumulated === undefined ? context : { ...context, accumulated });
  }

  /** The register that holds what is read, if there is one. */
  private known(read: Read, element: number): string | undefined {
    const names =
      this.registers.get(read.buffer) ??
      this.loaded.find(({ buffer, key }) => buffer === read.buffer && key === keyOf(read.access))?.names;
    return names?.length === 1 ? names[0] : names?.[Math.max(0, element)];
  }

  /** Each lane by itself: sums of few terms, one for each element. */
  private alone({ combine, value, terms }: NonNullable<RowKernel["reduction"]>, isWide: boolean): readonly string[] {
    const { w } = this;
    const accumulator = new Accumulator(w, combine, value.dtype);
    const lanes = this.elements(isWide).map(() => accumulator.declare());
    const term = w.fresh("k");
    w.block(`for (var ${term} = 0u; ${term} < ${terms}u; ${term}++)`, () => {
      const names = new Map<string, string>();
      this.elements(isWide).forEach((element, i) => {
        accumulator.add(lanes[i] ?? [], [this.point(element, names, undefined, term).value(value)]);
      });
    });
    return lanes.map((lane) => accumulator.result(lane));
  }

  /** The lanes of a row together; returns the result, which all of them have. */
  private across({ combine, value }: NonNullable<RowKernel["reduction"]>): string {
    const accumulator = new Accumulator(this.w, combine, value.dtype);
    const lane = accumulator.declare();
    const names = new Map<string, string>();
    for (const element of this.elements(true)) {
      accumulator.add(lane, [this.point(element, names).value(value)]);
    }
    this.exchange(accumulator, lane);
    return accumulator.result(lane);
  }

  /** Combines the lanes of each row, by subgroups, then by groups that read each other's parts. Everybody has the result. */
  private exchange(accumulator: Accumulator, lane: readonly string[]): void {
    const { w, plan } = this;
    const [name = ""] = lane;
    let done = 1;
    for (; done < Math.min(plan.perRow, w.limits.subgroup); done *= 2) {
      accumulator.add(lane, [w.let(accumulator.loaded(w.shuffled(accumulator.stored(name, 0), done), 0))]);
    }
    while (done < plan.perRow) {
      const radix = Math.min(RADIX, plan.perRow / done);
      const [type = ""] = accumulator.variables;
      const scratch = w.scratch(type, `row ${this.turn}`);
      this.turn = 1 - this.turn;
      w.line(`${scratch}[lane] = ${accumulator.stored(name, 0)};`);
      w.line("workgroupBarrier();");
      // Lanes whose numbers differ in these bits alone.
      const first = w.let(`lane & ${~((radix - 1) * done) >>> 0}u`, "first");
      w.line(`${name} = ${accumulator.loaded(`${scratch}[${first}]`, 0)};`);
      for (let i = 1; i < radix; i++) {
        accumulator.add(lane, [w.let(accumulator.loaded(`${scratch}[${first} + ${i * done}u]`, 0))]);
      }
      this.exchanged = true;
      done *= radix;
    }
  }

  /**
   * Stores the values of points, all of which are known before any is stored.
   * @param guard writes what guards the stores to memory
   */
  private store(
    stores: readonly Store[],
    points: readonly PointWriter[],
    guard: ((inMemory: () => void) => void) | null,
  ): void {
    const { w } = this;
    const own = [...this.registers.values()].flat();
    const valueOf = (point: PointWriter, value: Expression): string => {
      const name = point.value(value);
      // It may be what another store changes.
      return own.includes(name) ? w.let(name) : name;
    };
    const results = stores.map(({ buffer, access, value }) => ({
      buffer,
      registers: this.registers.get(buffer),
      values: points.map((point) => valueOf(point, value)),
      addresses: this.registers.has(buffer) ? [] : points.map((point) => point.address(access)),
    }));
    for (const { buffer, registers, values } of results) {
      registers?.forEach((register, i) => {
        w.line(`${register} = ${w.rounded(buffer.dtype, values[i] ?? "")};`);
      });
    }
    const inMemory = (): void => {
      for (const { buffer, values, addresses } of results) {
        addresses.forEach((address, i) => {
          w.store(buffer, address, values[i] ?? "");
        });
      }
    };
    if (guard === null) inMemory();
    else if (results.some(({ registers }) => registers === undefined)) guard(inMemory);
  }

  /** What holds for those that store to memory for a row, or for an element; empty if it always does. */
  private guardOf(isWide: boolean): string {
    return isWide ? this.stores.wide : this.stores.narrow;
  }

  private guarded(isWide: boolean, body: () => void): void {
    const guard = this.guardOf(isWide);
    if (guard === "") body();
    else this.w.block(`if (${guard})`, body);
  }
}
