/** The safetensors file format, written: a length, a JSON header, the data. What may be in one is stated here. */
import { CheckpointError, type DType, type HostTensor } from "@banach/autograd";

/** A file's contents. Names are in a Map, in which `__proto__` is a name like any other. */
export interface SafeTensors {
  readonly tensors: ReadonlyMap<string, HostTensor>;
  readonly metadata: ReadonlyMap<string, string>;
}

/** The formats' names of element types, and their sizes in bytes. float16 is left out: host tensors do not store it so. */
export const DTYPE_NAMES: ReadonlyMap<string, { readonly dtype: DType; readonly bytes: number }> = new Map([
  ["F64", { dtype: "float64", bytes: 8 }],
  ["F32", { dtype: "float32", bytes: 4 }],
  ["I32", { dtype: "int32", bytes: 4 }],
  ["U32", { dtype: "uint32", bytes: 4 }],
  ["BOOL", { dtype: "bool", bytes: 1 }],
]);

/** The key of the header that holds texts instead of a tensor. */
export const METADATA_KEY = "__metadata__";

/** Bytes of the header's length, a little-endian u64 at the start. */
export const PREFIX_BYTES = 8;

/**
 * The bytes of a file: tensors by falling element size and then by name, so that all data is aligned. Throws
 * CheckpointError for a name that the format reserves or a dtype that it cannot hold.
 */
export function writeSafetensors({ tensors, metadata }: SafeTensors): Uint8Array {
  const entries = [...tensors].map(([name, tensor]) => ({ name, tensor, ...formatOf(name, tensor) }));
  entries.sort((a, b) => b.bytes - a.bytes || (a.name < b.name ? -1 : 1));
  let offset = 0;
  const fields = entries.map(({ name, tensor, format, bytes }) => {
    const begin = offset;
    offset += tensor.data.length * bytes;
    return [name, { dtype: format, shape: tensor.shape, data_offsets: [begin, offset] }] as const;
  });
  // Not an object literal: `__proto__` as a key of one would be lost.
  const members = [[METADATA_KEY, Object.fromEntries(metadata)] as const, ...fields].map(
    ([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`,
  );
  const json = new TextEncoder().encode(`{${members.join(",")}}`);
  const headerBytes = Math.ceil(json.length / 8) * 8;
  const file = new Uint8Array(PREFIX_BYTES + headerBytes + offset);
  new DataView(file.buffer).setBigUint64(0, BigInt(headerBytes), true);
  file.fill(0x20, PREFIX_BYTES, PREFIX_BYTES + headerBytes);
  file.set(json, PREFIX_BYTES);
  let position = PREFIX_BYTES + headerBytes;
  for (const { tensor } of entries) {
    const { buffer, byteOffset, byteLength } = tensor.data;
    file.set(new Uint8Array(buffer, byteOffset, byteLength), position);
    position += byteLength;
  }
  return file;
}

function formatOf(name: string, tensor: HostTensor): { readonly format: string; readonly bytes: number } {
  if (name === METADATA_KEY) throw new CheckpointError(`safetensors: a tensor cannot be called ${METADATA_KEY}`);
  for (const [format, { dtype, bytes }] of DTYPE_NAMES) if (dtype === tensor.dtype) return { format, bytes };
  throw new CheckpointError(`safetensors: '${name}' is ${tensor.dtype}, which is not written`);
}
