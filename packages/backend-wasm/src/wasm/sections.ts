/** The binary format of a module: its sections in their order. */
import { ByteWriter } from "./byte-writer.ts";
import { encodeSigned32 } from "./leb128.ts";
import { valueTypeCodes } from "./value-type.ts";
import type { ValueTypes } from "./value-type.ts";

/** Bytes of a page of memory. */
export const pageBytes = 65_536;

/** Pages in 4 GiB, which is all that 32-bit addresses reach. */
export const maxPages = 65_536;

/** Limits in pages of 64 KiB; a shared memory has a maximum. */
export type MemoryLimits =
  | { readonly min: number; readonly max?: number; readonly shared?: false }
  | { readonly min: number; readonly max: number; readonly shared: boolean };

interface ImportName {
  readonly module: string;
  readonly name: string;
}

/** Bytes that start in memory at `offset`, or that wait for `memory.init` if it is undefined. */
export interface DataContent {
  readonly offset: number | undefined;
  readonly bytes: Uint8Array;
}

/** Everything a module consists of; encoded parts as bytes. */
export interface ModuleContent {
  readonly name: string | undefined;
  readonly types: { readonly params: ValueTypes; readonly results: ValueTypes }[];
  readonly imports: (ImportName & { readonly description: readonly number[] })[];
  /** Imported ones first; these have no body. */
  readonly functions: { readonly name: string; readonly type: number; body: Uint8Array | undefined }[];
  memory: { readonly limits: MemoryLimits; readonly importedAs: ImportName | undefined } | undefined;
  /** Type, mutability and initial expression. */
  readonly globals: (readonly number[])[];
  globalCount: number;
  readonly exports: { readonly name: string; readonly kind: keyof typeof exportKinds; readonly index: number }[];
  start: number | undefined;
  readonly data: DataContent[];
}

const exportKinds = { function: 0, memory: 2, global: 3 } as const;

function section(out: ByteWriter, id: number, write: (body: ByteWriter) => void): void {
  const body = new ByteWriter();
  write(body);
  out.byte(id);
  out.sized(body.finish());
}

/** A section that is a list; none is written for an empty one. */
function list<T>(out: ByteWriter, id: number, items: readonly T[], write: (body: ByteWriter, item: T) => void): void {
  if (items.length === 0) return;
  section(out, id, (body) => {
    body.unsigned(items.length);
    for (const item of items) write(body, item);
  });
}

function writeTypes(out: ByteWriter, types: ValueTypes): void {
  out.sized(types.map((type) => valueTypeCodes[type]));
}

function writeLimits(out: ByteWriter, { min, max, shared = false }: MemoryLimits): void {
  out.byte((max === undefined ? 0 : 1) | (shared ? 2 : 0));
  out.unsigned(min);
  if (max !== undefined) out.unsigned(max);
}

function writeImports(out: ByteWriter, { imports, memory }: ModuleContent): void {
  const all = imports.map(({ module, name, description }) => ({
    module,
    name,
    write: (body: ByteWriter) => body.bytes(description),
  }));
  if (memory?.importedAs !== undefined) {
    const { limits, importedAs } = memory;
    const write = (body: ByteWriter) => {
      body.byte(0x02);
      writeLimits(body, limits);
    };
    all.push({ ...importedAs, write });
  }
  list(out, 2, all, (body, { module, name, write }) => {
    body.text(module);
    body.text(name);
    write(body);
  });
}

function writeData(body: ByteWriter, { offset, bytes }: DataContent): void {
  body.byte(offset === undefined ? 1 : 0);
  if (offset !== undefined) body.bytes([0x41, ...encodeSigned32(offset), 0x0b]);
  body.sized(bytes);
}

function writeNames(out: ByteWriter, { name, functions }: ModuleContent): void {
  section(out, 0, (body) => {
    body.text("name");
    if (name !== undefined) section(body, 0, (module) => module.text(name));
    list(body, 1, [...functions.entries()], (entry, [index, func]) => {
      entry.unsigned(index);
      entry.text(func.name);
    });
  });
}

/**
 * Writes a module.
 * @param imported how many of the functions are imported
 * @param names whether to write the names of the module and its functions
 */
export function writeModule(
  out: ByteWriter,
  content: ModuleContent,
  imported: number,
  names: boolean,
): Uint8Array<ArrayBuffer> {
  const { types, memory, globals, exports, start, data } = content;
  const own = content.functions.slice(imported);
  out.bytes([0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]);
  list(out, 1, types, (body, { params, results }) => {
    body.byte(0x60);
    writeTypes(body, params);
    writeTypes(body, results);
  });
  writeImports(out, content);
  list(out, 3, own, (body, { type }) => body.unsigned(type));
  if (memory !== undefined && memory.importedAs === undefined) {
    list(out, 5, [memory.limits], writeLimits);
  }
  list(out, 6, globals, (body, bytes) => body.bytes(bytes));
  list(out, 7, exports, (body, { name, kind, index }) => {
    body.text(name);
    body.byte(exportKinds[kind]);
    body.unsigned(index);
  });
  if (start !== undefined) section(out, 8, (body) => body.unsigned(start));
  if (data.some(({ offset }) => offset === undefined)) section(out, 12, (body) => body.unsigned(data.length));
  list(out, 10, own, (body, func) => body.sized(func.body ?? []));
  list(out, 11, data, writeData);
  if (names) writeNames(out, content);
  return out.finish();
}
