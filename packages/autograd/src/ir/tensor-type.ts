/** Element types, shapes and tensor types: what every value of a graph has, and how it is written. */
import { DTypeError, ShapeError } from "../errors.ts";

/** Element types. `float64` runs on the reference only; `float16` is a storage type. */
export type DType = "float64" | "float32" | "float16" | "int32" | "uint32" | "bool";

export type Shape = readonly number[];

export interface TensorType {
  readonly dtype: DType;
  readonly shape: Shape;
}

/** Host storage of a tensor, row-major. `bool` is stored as 0 and 1 in a `Uint8Array`, `float16` as float32. */
export type HostArray = Float64Array | Float32Array | Int32Array | Uint32Array | Uint8Array;

export const DTYPES: readonly DType[] = ["float64", "float32", "float16", "int32", "uint32", "bool"];

const BYTES: Readonly<Record<DType, number>> = { float64: 8, float32: 4, float16: 2, int32: 4, uint32: 4, bool: 1 };

export function isDType(name: string): name is DType {
  return (DTYPES as readonly string[]).includes(name);
}

export function isFloat(dtype: DType): boolean {
  return dtype === "float64" || dtype === "float32" || dtype === "float16";
}

export function isInteger(dtype: DType): boolean {
  return dtype === "int32" || dtype === "uint32";
}

/** Makes a tensor type. Throws ShapeError unless every dimension is a non-negative safe integer. */
export function tensorType(dtype: DType, shape: Shape): TensorType {
  if (!isDType(dtype)) throw new DTypeError(`unknown dtype '${String(dtype)}'; one of ${DTYPES.join(", ")}`);
  for (const size of shape) {
    if (!Number.isSafeInteger(size) || size < 0) {
      throw new ShapeError(`${dtype}[${shape.join(",")}]: dimensions must be non-negative integers, got ${size}`);
    }
  }
  if (!Number.isSafeInteger(sizeOf(shape) * BYTES[dtype])) {
    throw new ShapeError(`${dtype}[${shape.join(",")}]: more bytes than a safe integer can count`);
  }
  return { dtype, shape };
}

/** Number of elements. */
export function sizeOf(shape: Shape): number {
  let size = 1;
  for (const dim of shape) size *= dim;
  return size;
}

export function byteLengthOf(type: TensorType): number {
  return sizeOf(type.shape) * BYTES[type.dtype];
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, i) => dim === b[i]);
}

export function sameType(a: TensorType, b: TensorType): boolean {
  return a.dtype === b.dtype && sameShape(a.shape, b.shape);
}

/** `float32[2,3]`, the way types are written everywhere: graphs, errors, docs. */
export function formatType(type: TensorType): string {
  return `${type.dtype}[${type.shape.join(",")}]`;
}

/** Size of one dimension; the caller has checked that the axis is in range. */
export function dimOf(shape: Shape, axis: number): number {
  const dim = shape[axis];
  if (dim === undefined) throw new ShapeError(`axis ${axis} is out of range for shape [${shape.join(",")}]`);
  return dim;
}

/** Row-major strides, in elements. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= dimOf(shape, axis);
  }
  return strides;
}

/** A zeroed host array with room for `type`. */
export function allocateHost(dtype: DType, size: number): HostArray {
  switch (dtype) {
    case "float64":
      return new Float64Array(size);
    case "float32":
    case "float16":
      return new Float32Array(size);
    case "int32":
      return new Int32Array(size);
    case "uint32":
      return new Uint32Array(size);
    case "bool":
      return new Uint8Array(size);
    default:
      return dtype satisfies never;
  }
}
