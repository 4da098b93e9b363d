/** The safetensors file format, read. A file is untrusted input: everything is checked before anything is allocated. */
import { CheckpointError, type DType, HostTensor } from "@banach/autograd";
import { widenBfloat16, widenFloat16 } from "./halves.ts";
import { isRecord, type JsonFault, parseJson } from "./json.ts";
import { printable, quoted } from "./printable.ts";
import { DTYPE_NAMES, METADATA_KEY, PREFIX_BYTES, type SafeTensors } from "./safetensors.ts";

/** Bytes of the largest header that is read. */
export const MAX_HEADER_BYTES = 100_000_000;

/** Most tensors in a file. */
export const MAX_TENSORS = 100_000;

/** What a file can be refused for. An error opens with the name of the rule that is broken. */
export const RULES = [
  "file-too-short",
  "header-too-large",
  "header-beyond-file",
  "header-start",
  "header-encoding",
  "header-json",
  "header-depth",
  "duplicate-key",
  "metadata",
  "tensor-count",
  "entry",
  "dtype",
  "shape",
  "shape-overflow",
  "offsets",
  "offset-order",
  "size",
  "bounds",
  "overlap",
  "hole",
  "bool",
] as const;

export type Rule = (typeof RULES)[number];

export interface ReadSafetensorsOptions {
  /** Reads float16 and bfloat16 as float32, which has all of their numbers; by default they are refused. */
  readonly widenHalves?: boolean;
}

/** An element type of the format, and what it is read as. */
interface Format {
  readonly dtype: DType;
  readonly bytes: number;
  readonly widen?: (bits: Uint16Array) => Float32Array<ArrayBuffer>;
}

interface Entry extends Format {
  readonly name: string;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

const HALVES: ReadonlyMap<string, Format> = new Map([
  ["F16", { dtype: "float32", bytes: 2, widen: widenFloat16 }],
  ["BF16", { dtype: "float32", bytes: 2, widen: widenBfloat16 }],
]);

const FORMATS: ReadonlyMap<string, Format> = DTYPE_NAMES;

const WITH_HALVES: ReadonlyMap<string, Format> = new Map([...FORMATS, ...HALVES]);

const OPENING_BRACE = 0x7b;

/**
 * The contents of a file. `file` may be a view of a larger buffer: nothing outside it is read. The tensors own their
 * data. Throws CheckpointError, which names the rule that is broken.
 */
export function readSafetensors(file: Uint8Array, { widenHalves = false }: ReadSafetensorsOptions = {}): SafeTensors {
  const { header, dataStart } = readHeader(file);
  const { [METADATA_KEY]: rawMetadata, ...rest } = header;
  const metadata = readMetadata(rawMetadata);
  // A destructured rest has lost nothing: `__proto__` is an own property of what JSON.parse returns, and copied as one.
  const names = Object.keys(rest);
  if (names.length > MAX_TENSORS) fail("tensor-count", `${names.length} tensors, at most ${MAX_TENSORS} are read`);
  const formats = widenHalves ? WITH_HALVES : FORMATS;
  const entries = names.map((name) => readEntry(name, rest[name], formats));
  const data = file.subarray(dataStart);
  requireCover(entries, data.length);
  return { metadata, tensors: new Map(entries.map((entry) => [entry.name, readTensor(entry, data)])) };
}

function fail(rule: Rule, detail: string): never {
  throw new CheckpointError(`safetensors: ${rule}: ${detail}`);
}

const JSON_RULES: Readonly<Record<JsonFault, Rule>> = {
  json: "header-json",
  depth: "header-depth",
  duplicateKey: "duplicate-key",
};

function readHeader(file: Uint8Array): { readonly header: Record<string, unknown>; readonly dataStart: number } {
  if (file.byteLength < PREFIX_BYTES) {
    fail("file-too-short", `${file.byteLength} bytes, fewer than the ${PREFIX_BYTES} of the header's length`);
  }
  // As a BigInt: as a number, a length near 2^64 would be rounded and might pass.
  const length = new DataView(file.buffer, file.byteOffset, file.byteLength).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    fail("header-too-large", `${length} bytes, at most ${MAX_HEADER_BYTES} are read`);
  }
  if (length > BigInt(file.byteLength - PREFIX_BYTES)) {
    fail("header-beyond-file", `a header of ${length} bytes, but only ${file.byteLength - PREFIX_BYTES} follow`);
  }
  const dataStart = PREFIX_BYTES + Number(length);
  const bytes = file.subarray(PREFIX_BYTES, dataStart);
  if (bytes[0] !== OPENING_BRACE) fail("header-start", "the header does not open with '{'");
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    fail("header-encoding", "the header is not UTF-8");
  }
  const header = parseJson(text, "header", (fault, detail) => fail(JSON_RULES[fault], detail));
  if (!isRecord(header)) fail("header-json", "the header is not an object");
  return { header, dataStart };
}

function readMetadata(value: unknown): ReadonlyMap<string, string> {
  if (value === undefined) return new Map();
  if (!isRecord(value)) fail("metadata", `${METADATA_KEY} is not an object`);
  return new Map(
    Object.entries(value).map(([key, text]) => {
      if (typeof text !== "string") fail("metadata", `${quoted(key)} is not a string`);
      return [key, text];
    }),
  );
}

function readEntry(name: string, value: unknown, formats: ReadonlyMap<string, Format>): Entry {
  const what = quoted(name);
  if (!isRecord(value)) fail("entry", `${what} is not an object`);
  const unknown = Object.keys(value).find((key) => !["dtype", "shape", "data_offsets"].includes(key));
  if (unknown !== undefined) fail("entry", `${what} has an unknown member ${quoted(unknown)}`);
  const { dtype: element, shape, data_offsets: offsets } = value;
  const format = typeof element === "string" ? formats.get(element) : undefined;
  if (typeof element !== "string" || format === undefined) {
    const given = typeof element === "string" ? quoted(element) : "none that is a string";
    fail("dtype", `${what} has ${given}; read are ${[...formats.keys()].join(", ")}`);
  }
  if (!isIndices(shape)) fail("shape", `the shape of ${what} is not a list of non-negative safe integers`);
  if (!isIndices(offsets) || offsets.length !== 2) {
    fail("offsets", `the data_offsets of ${what} are not two non-negative safe integers`);
  }
  const [begin = 0, end = 0] = offsets;
  const wanted = sizeInBytes(what, shape, format.bytes);
  if (begin > end) fail("offset-order", `${what} ends at ${end}, before it begins at ${begin}`);
  if (end - begin !== wanted) {
    fail("size", `${what}, ${element}[${printable(shape.join(","))}], needs ${wanted} bytes and has ${end - begin}`);
  }
  return { name, ...format, shape, begin, end };
}

/** Stops at the first product that is no safe integer: of a long shape the whole product takes hours to compute. */
function sizeInBytes(what: string, shape: readonly number[], bytes: number): number {
  let product = BigInt(bytes);
  for (const dim of shape) {
    product *= BigInt(dim);
    if (product > BigInt(Number.MAX_SAFE_INTEGER)) fail("shape-overflow", `${what} has too many bytes to count`);
  }
  return Number(product);
}

function isIndices(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && !Object.is(item, -0) && item >= 0);
}

/** Every byte of the data belongs to exactly one tensor. */
function requireCover(entries: readonly Entry[], length: number): void {
  let covered = 0;
  for (const { name, begin, end } of [...entries].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (end > length) fail("bounds", `${quoted(name)} ends at byte ${end} of ${length}`);
    if (begin < covered) fail("overlap", `${quoted(name)} begins at byte ${begin}, before ${covered}`);
    if (begin > covered) fail("hole", `no tensor has the bytes ${covered} to ${begin}`);
    covered = end;
  }
  if (covered !== length) fail("hole", `no tensor has the bytes ${covered} to ${length}`);
}

function readTensor({ name, dtype, shape, begin, end, widen }: Entry, data: Uint8Array): HostTensor {
  // A copy, which is aligned; the file need not be. (Not slice: that of Node's Buffer does not copy.)
  const { buffer } = new Uint8Array(data.subarray(begin, end));
  if (widen !== undefined) return new HostTensor({ dtype, shape }, widen(new Uint16Array(buffer)));
  switch (dtype) {
    case "float64":
      return new HostTensor({ dtype, shape }, new Float64Array(buffer));
    case "float32":
      return new HostTensor({ dtype, shape }, new Float32Array(buffer));
    case "int32":
      return new HostTensor({ dtype, shape }, new Int32Array(buffer));
    case "uint32":
      return new HostTensor({ dtype, shape }, new Uint32Array(buffer));
    case "bool": {
      const values = new Uint8Array(buffer);
      if (values.some((value) => value > 1)) fail("bool", `${quoted(name)} has a byte that is neither 0 nor 1`);
      return new HostTensor({ dtype, shape }, values);
    }
    case "float16":
      return fail("dtype", `${quoted(name)} is float16`);
    default:
      return dtype satisfies never;
  }
}
