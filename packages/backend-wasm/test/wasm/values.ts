/** Edge values of each type, and values in bytes. */
import type { ValueType } from "../../src/wasm/index.ts";

export type Value = number | bigint | Uint8Array;

const floats = [0, -0, 1, -1, 0.5, -0.5, 1.5, 2.5, -2.5, 3.25, 100.7, -129.3, 1e-45, 1.1754943508222875e-38];
const large = [
  2 ** 24 + 1,
  2 ** 31,
  -(2 ** 31),
  2 ** 31 - 1,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 63,
  -(2 ** 63),
  2 ** 64,
  3.4e38,
];
const special = [Infinity, -Infinity, NaN];

export const i32Edges: readonly number[] = [
  ...[0, 1, -1, 2, 7, -7, 31, 32, 33, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff],
  ...[2 ** 31 - 1, -(2 ** 31), 0x1234_5678, -0x1234_5678],
];
export const i64Edges: readonly bigint[] = [
  ...i32Edges.map(BigInt),
  ...[2n ** 31n, 2n ** 32n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n), -(2n ** 24n) - 1n, 0x7fff_ff40_0000_0001n],
];
export const f32Edges: readonly number[] = [...floats, ...large, ...special].map(Math.fround);
export const f64Edges: readonly number[] = [...floats, ...large, ...special, 0.1, 5e-324, 1.7e308, 2 ** 31 - 0.5];

/** 16 bytes of a typed array. */
export const bytesOf = (array: ArrayBufferView): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength).slice();

function vectors<T>(values: readonly T[], lanes: number, pack: (lanes: T[]) => ArrayBufferView): Uint8Array[] {
  return values.map((_, i) =>
    bytesOf(pack(Array.from({ length: lanes }, (_, j) => values[(i + 5 * j) % values.length]!))),
  );
}

/** Vectors whose lanes are edge values of the namespace's lanes: every value is in lane 0 of one of them. */
export function vectorEdges(namespace: string): Uint8Array[] {
  if (namespace === "f32x4") return vectors(f32Edges, 4, (x) => Float32Array.from(x));
  if (namespace === "f64x2") return vectors(f64Edges, 2, (x) => Float64Array.from(x));
  if (namespace === "i64x2") return vectors(i64Edges, 2, (x) => BigInt64Array.from(x));
  const bytes = [0, 1, 0xff, 0x7f, 0x80, 2, 0x3c, 0xc3, 0x10, 0x55, 0xaa, 0xfe];
  const shorts = [0, 1, 0xffff, 0x7fff, 0x8000, 0x80, 0x7f, 0xff, 0x1234, 0xedcc, 0xff80, 0x4000];
  if (namespace === "i16x8") return vectors(shorts, 8, (x) => Uint16Array.from(x));
  if (namespace === "i32x4") return vectors(i32Edges, 4, (x) => Int32Array.from(x));
  return vectors(bytes, 16, (x) => Uint8Array.from(x));
}

export function encode(type: ValueType, value: Value): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  if (value instanceof Uint8Array) bytes.set(value);
  else if (typeof value === "bigint") view.setBigInt64(0, value, true);
  else if (type === "i32") view.setInt32(0, value, true);
  else if (type === "f32") view.setFloat32(0, value, true);
  else view.setFloat64(0, value, true);
  return bytes;
}

export function decode(type: ValueType, bytes: Uint8Array): Value {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  if (type === "v128") return bytes.slice(0, 16);
  if (type === "i64") return view.getBigInt64(0, true);
  if (type === "i32") return view.getInt32(0, true);
  return type === "f32" ? view.getFloat32(0, true) : view.getFloat64(0, true);
}
