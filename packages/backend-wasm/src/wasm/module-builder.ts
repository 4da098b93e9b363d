/** Collects what a module is made of and writes it; the bodies of functions are written by FunctionBuilder. */
import { ByteWriter } from "./byte-writer.ts";
import { WasmBuildError } from "./error.ts";
import { Expr, toExpr } from "./expression.ts";
import type { Op, Operand } from "./expression.ts";
import type { Feature, Features } from "./features.ts";
import { FunctionBuilder } from "./function-builder.ts";
import type { BodyResult, Func, Locals, TupleHint } from "./function-type.ts";
import { encodeUnsigned } from "./leb128.ts";
import type { Global, GlobalPlace } from "./place.ts";
import { maxPages, pageBytes, writeModule } from "./sections.ts";
import type { DataContent, MemoryLimits, ModuleContent } from "./sections.ts";
import type { DataSegment } from "./signature.ts";
import { valueTypeCodes } from "./value-type.ts";
import type { ValueType, ValueTypes } from "./value-type.ts";

/** The memory of a module. */
export interface Memory {
  readonly kind: "memory";
  readonly module: object;
  readonly index: 0;
}

export interface ModuleOptions {
  /** Appears in stack traces. */
  readonly name?: string;
  /** A feature that is false here must not be used; what is not mentioned may be. `probeFeatures()` fits. */
  readonly features?: Partial<Features>;
}

const globalGet: Op = { name: "global.get", code: [0x23], feature: undefined, memory: false };

/**
 * One WebAssembly module. Imports come before what the module defines itself; a function can be declared first and
 * defined later, so that functions can call each other.
 */
export class ModuleBuilder {
  readonly #content: ModuleContent;
  readonly #allowed: Partial<Features>;
  readonly #features = new Set<Feature>();
  readonly #typeIndices = new Map<string, number>();
  readonly #exportNames = new Set<string>();
  #importedFunctions = 0;
  #needsMemory: string | undefined;

  constructor({ name, features = {} }: ModuleOptions = {}) {
    this.#allowed = features;
    this.#content = {
      name,
      types: [],
      imports: [],
      functions: [],
      memory: undefined,
      globals: [],
      globalCount: 0,
      exports: [],
      start: undefined,
      data: [],
    };
  }

  /** The features that the module needs, by name. */
  get features(): readonly Feature[] {
    return [...this.#features].sort();
  }

  /** @throws WasmBuildError if the module has functions of its own already */
  importFunction<const P extends ValueTypes, const R extends ValueTypes>(
    module: string,
    name: string,
    params: P,
    results: R,
  ): Func<P, R> {
    if (this.#content.functions.length > this.#importedFunctions) {
      throw new WasmBuildError(`the import ${module}.${name} comes after a function of the module`);
    }
    const func = this.declare(name, params, results);
    this.#importedFunctions++;
    this.#content.imports.push({ module, name, description: [0x00, ...encodeUnsigned(this.#typeIndex(func))] });
    return func;
  }

  importMemory(module: string, name: string, limits: MemoryLimits): Memory {
    const memory = this.memory(limits);
    this.#content.memory = { limits, importedAs: { module, name } };
    return memory;
  }

  /** @throws WasmBuildError if the module has globals of its own already */
  importGlobal<T extends ValueType, M extends boolean = false>(
    module: string,
    name: string,
    type: T,
    { mutable }: { readonly mutable?: M } = {},
  ): Global<T, M> {
    if (this.#content.globals.length > 0) {
      throw new WasmBuildError(`the import ${module}.${name} comes after a global of the module`);
    }
    this.#content.imports.push({ module, name, description: [0x03, valueTypeCodes[type], mutable === true ? 1 : 0] });
    return this.#globalAt(type, mutable === true, true);
  }

  /**
   * @param limits in pages of 64 KiB
   * @throws WasmBuildError if the module has a memory already, or the limits make no sense
   */
  memory(limits: MemoryLimits): Memory {
    const { min, max = maxPages, shared = false } = limits;
    if (this.#content.memory !== undefined) throw new WasmBuildError("the module has a memory already");
    if (![min, max].every(Number.isInteger) || min < 0 || min > max || max > maxPages) {
      throw new WasmBuildError(`a memory has 0 <= min <= max <= ${maxPages} pages, not min ${min}, max ${max}`);
    }
    if (shared && limits.max === undefined) throw new WasmBuildError("a shared memory has a max");
    if (shared) this.#require("threads", "a shared memory");
    this.#content.memory = { limits, importedAs: undefined };
    return { kind: "memory", module: this, index: 0 };
  }

  /** @param init a constant, or an imported constant global */
  global<T extends ValueType, M extends boolean = false>(
    type: T,
    init: Operand<NoInfer<T>>,
    { mutable }: { readonly mutable?: M } = {},
  ): Global<T, M> {
    const value = toExpr(init, type, "global", 1);
    const { place } = value;
    const imported = place?.kind === "global" && place.imported && !place.mutable && place.module === this;
    if (!imported && !value.op.name.endsWith(".const")) {
      throw new WasmBuildError(`the first value of a global is a constant, not ${value.op.name}`);
    }
    this.#use(value.op);
    const kind = [valueTypeCodes[type], mutable === true ? 1 : 0];
    this.#content.globals.push([...kind, ...value.op.code, ...value.immediates, 0x0b]);
    return this.#globalAt(type, mutable === true, false);
  }

  /** A function whose body follows by `define`. */
  declare<const P extends ValueTypes, const R extends ValueTypes>(name: string, params: P, results: R): Func<P, R> {
    const { functions } = this.#content;
    if (results.length > 1) this.#require("multiValue", `the function ${name}`);
    const func: Func<P, R> = { kind: "function", module: this, index: functions.length, name, params, results };
    functions.push({ name, type: this.#typeIndex(func), body: undefined });
    return func;
  }

  /**
   * Writes the body of a declared function.
   * @param body gets the builder and the parameters, and returns the result, a list of results, or nothing
   */
  define<P extends ValueTypes, R extends ValueTypes>(
    func: Func<P, R>,
    body: (f: FunctionBuilder<NoInfer<R>>, ...params: Locals<P>) => BodyResult<R> | TupleHint,
  ): void {
    const entry = func.module === this ? this.#content.functions[func.index] : undefined;
    if (entry === undefined) throw new WasmBuildError(`the function ${func.name} belongs to another module`);
    if (func.index < this.#importedFunctions) throw new WasmBuildError(`the function ${func.name} is imported`);
    if (entry.body !== undefined) throw new WasmBuildError(`the function ${func.name} is defined twice`);
    const f = new FunctionBuilder({ module: this, use: (op) => this.#use(op) }, func);
    const result: unknown = body(f, ...(f.params as unknown as Locals<P>));
    const values: readonly unknown[] = func.results.length > 1 ? (result as readonly unknown[]) : [result];
    entry.body = f.finish(func.results.length === 0 ? [] : values);
  }

  /** A function with its body: `declare` and `define` in one. */
  func<const P extends ValueTypes, const R extends ValueTypes>(
    name: string,
    params: P,
    results: R,
    body: (f: FunctionBuilder<NoInfer<R>>, ...params: Locals<P>) => BodyResult<R> | TupleHint,
  ): Func<P, R> {
    const func = this.declare(name, params, results);
    this.define(func, body);
    return func;
  }

  /** @throws WasmBuildError if the name is taken */
  export(name: string, item: Func | Global | Memory): void {
    if (this.#exportNames.has(name)) throw new WasmBuildError(`the module exports ${name} twice`);
    const { kind, module, index } = item instanceof Expr ? item.place : item;
    if (module !== this) throw new WasmBuildError(`the export ${name} belongs to another module`);
    this.#exportNames.add(name);
    this.#content.exports.push({ name, kind, index });
  }

  /** The function that runs when the module is instantiated. */
  start(func: Func<readonly [], readonly []>): void {
    if (this.#content.start !== undefined) throw new WasmBuildError("the module has a start function already");
    this.#content.start = func.index;
  }

  /** Bytes that are in the memory from the start. */
  data(offset: number, bytes: Uint8Array): void {
    const { memory } = this.#content;
    if (memory === undefined) throw new WasmBuildError("data needs a memory, declared before");
    const end = offset + bytes.length;
    if (!Number.isInteger(offset) || offset < 0) throw new WasmBuildError(`data cannot start at ${offset}`);
    if (memory.importedAs === undefined && end > memory.limits.min * pageBytes) {
      throw new WasmBuildError(`data ends at ${end}, beyond the memory's first ${memory.limits.min} pages`);
    }
    this.#addData({ offset, bytes: bytes.slice() });
  }

  /** Bytes that `f.memory.init` copies into the memory, until `f.data.drop`. */
  passiveData(bytes: Uint8Array): DataSegment {
    this.#require("bulkMemory", "a passive data segment");
    return { kind: "data", module: this, index: this.#addData({ offset: undefined, bytes: bytes.slice() }) };
  }

  /**
   * The module's bytes; the same calls give the same bytes.
   * @param names whether to include the names of functions, for stack traces and profiles
   * @throws WasmBuildError if a declared function has no body, or memory is used and there is none
   */
  build({ names = true }: { readonly names?: boolean } = {}): Uint8Array<ArrayBuffer> {
    const { functions, memory } = this.#content;
    const open = functions.slice(this.#importedFunctions).find(({ body }) => body === undefined);
    if (open !== undefined) throw new WasmBuildError(`the function ${open.name} is declared and not defined`);
    if (this.#needsMemory !== undefined && memory === undefined) {
      throw new WasmBuildError(`${this.#needsMemory} needs a memory, and the module has none`);
    }
    return writeModule(new ByteWriter(4096), this.#content, this.#importedFunctions, names);
  }

  #use(op: Op): void {
    if (op.memory) this.#needsMemory ??= op.name;
    if (op.feature !== undefined) this.#require(op.feature, op.name);
  }

  #require(feature: Feature, who: string): void {
    if (this.#allowed[feature] === false)
      throw new WasmBuildError(`${who} needs ${feature}, which is not allowed here`);
    this.#features.add(feature);
  }

  #typeIndex({ params, results }: Func): number {
    const key = `${params.join(" ")} -> ${results.join(" ")}`;
    const known = this.#typeIndices.get(key);
    if (known !== undefined) return known;
    const index = this.#content.types.push({ params, results }) - 1;
    this.#typeIndices.set(key, index);
    return index;
  }

  #globalAt<T extends ValueType, M extends boolean>(type: T, mutable: boolean, imported: boolean): Global<T, M> {
    const index = this.#content.globalCount++;
    const place: GlobalPlace = { kind: "global", module: this, index, mutable, imported };
    return new Expr(type, globalGet, [], encodeUnsigned(index), place) as unknown as Global<T, M>;
  }

  #addData(content: DataContent): number {
    return this.#content.data.push(content) - 1;
  }
}
