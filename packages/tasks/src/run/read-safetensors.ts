/** The safetensors file format, read. A file is untrusted input: everything is checked before anything is allocated. */
import { CheckpointError, type DType, HostTensor } from "@banach/autograd";
import { isRecord, parseJson } from "./json.ts";
import { DTYPE_NAMES, METADATA_KEY, PREFIX_BYTES, type SafeTensors } from "./safetensors.ts";

/** Bytes of the largest header that is read. */
export const MAX_HEADER_BYTES = 100_000_000;

/** Most tensors in a file. */
export const MAX_TENSORS = 100_000;

const OPENING_BRACE = 0x7b;

interface Entry {
  readonly name: string;
  readonly dtype: DType;
  readonly bytes: number;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/**
 * The contents of a file. `file` may be a view of a larger buffer: nothing outside it is read. The tensors own their
 * data. Throws CheckpointError, which names the rule that is broken.
 */
export function readSafetensors(file: Uint8Array): SafeTensors {
  const { header, dataStart } = readHeader(file);
  const { [METADATA_KEY]: rawMetadata, ...rest } = header;
  // A destructured rest has lost nothing: `__proto__` is an own property of what JSON.parse returns, and copied as one.
  const names = Object.keys(rest);
  if (names.length > MAX_TENSORS) fail("tensor count", `${names.length} tensors, at most ${MAX_TENSORS} are read`);
  const entries = names.map((name) => readEntry(name, rest[name]));
  const data = file.subarray(dataStart);
  requireCover(entries, data.length);
  return {
    metadata: readMetadata(rawMetadata),
    tensors: new Map(entries.map((entry) => [entry.name, readTensor(entry, data)])),
  };
}

function fail(rule: string, detail: string): never {
  throw new CheckpointError(`safetensors, ${rule}: ${detail}`);
}

function readHeader(file: Uint8Array): { readonly header: Record<string, unknown>; readonly dataStart: number } {
  if (file.byteLength < PREFIX_BYTES) {
    fail("header length", `the file has ${file.byteLength} bytes, fewer than the ${PREFIX_BYTES} of the length`);
  }
  // As a BigInt: as a number, a length near 2^64 would be rounded and might pass.
  const length = new DataView(file.buffer, file.byteOffset, file.byteLength).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) fail("header length", `${length} bytes, at most ${MAX_HEADER_BYTES} are read`);
  if (length > BigInt(file.byteLength - PREFIX_BYTES)) {
    fail("header length", `${length} bytes, but only ${file.byteLength - PREFIX_BYTES} follow`);
  }
  const dataStart = PREFIX_BYTES + Number(length);
  const bytes = file.subarray(PREFIX_BYTES, dataStart);
  if (bytes[0] !== OPENING_BRACE) fail("header start", "the header does not open with '{'");
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    fail("header encoding", "the header is not UTF-8");
  }
  const header = parseJson(text, "safetensors, header");
  if (!isRecord(header)) fail("header", "not an object");
  return { header, dataStart };
}

function readMetadata(value: unknown): ReadonlyMap<string, string> {
  if (value === undefined) return new Map();
  if (!isRecord(value)) fail("metadata", `${METADATA_KEY} is not an object`);
  return new Map(
    Object.entries(value).map(([key, text]) => {
      if (typeof text !== "string") fail("metadata", `'${key}' is not a string`);
      return [key, text];
    }),
  );
}

function readEntry(name: string, value: unknown): Entry {
  if (!isRecord(value)) fail("entry", `'${name}' is not an object`);
  const unknown = Object.keys(value).find((key) => !["dtype", "shape", "data_offsets"].includes(key));
  if (unknown !== undefined) fail("entry", `'${name}' has an unknown member '${unknown}'`);
  const { dtype: format, shape, data_offsets: offsets } = value;
  const known = typeof format === "string" ? DTYPE_NAMES.get(format) : undefined;
  if (known === undefined) {
    fail("dtype", `'${name}' has ${JSON.stringify(format)}; read are ${[...DTYPE_NAMES.keys()].join(", ")}`);
  }
  if (!isIndices(shape)) fail("shape", `the shape of '${name}' is not a list of non-negative safe integers`);
  if (!isIndices(offsets) || offsets.length !== 2) {
    fail("offsets", `the data_offsets of '${name}' are not two non-negative safe integers`);
  }
  const [begin = 0, end = 0] = offsets;
  // Exact: a product beyond the safe integers could be rounded to one that fits.
  const wanted = shape.reduce((product, dim) => product * BigInt(dim), BigInt(known.bytes));
  if (wanted > BigInt(Number.MAX_SAFE_INTEGER)) fail("shape", `'${name}' has ${wanted} bytes, too many to count`);
  if (begin > end) fail("offsets", `'${name}' ends at ${end}, before it begins at ${begin}`);
  if (end - begin !== Number(wanted)) {
    fail("size", `'${name}', ${String(format)}[${shape.join(",")}], needs ${wanted} bytes and has ${end - begin}`);
  }
  return { name, ...known, shape, begin, end };
}

function isIndices(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && !Object.is(item, -0) && item >= 0);
}

/** Every byte of the data belongs to exactly one tensor. */
function requireCover(entries: readonly Entry[], length: number): void {
  let covered = 0;
  for (const { name, begin, end } of [...entries].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (end > length) fail("bounds", `'${name}' ends at byte ${end} of ${length}`);
    if (begin < covered) fail("overlap", `'${name}' begins at byte ${begin}, before ${covered}`);
    if (begin > covered) fail("hole", `no tensor has the bytes ${covered} to ${begin}`);
    covered = end;
  }
  if (covered !== length) fail("hole", `no tensor has the bytes ${covered} to ${length}`);
}

function readTensor({ name, dtype, shape, begin, end }: Entry, data: Uint8Array): HostTensor {
  // A copy, which is aligned; the file need not be. (Not slice: that of Node's Buffer does not copy.)
  const { buffer } = new Uint8Array(data.subarray(begin, end));
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
      if (values.some((value) => value > 1)) fail("bool", `'${name}' has a byte that is neither 0 nor 1`);
      return new HostTensor({ dtype, shape }, values);
    }
    case "float16":
      return fail("dtype", `'${name}' is float16`);
    default:
      return dtype satisfies never;
  }
}
