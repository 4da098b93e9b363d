/** Host tensors: data of a known type in JavaScript memory, made from plain numbers. They compute nothing. */
import { DTypeError, ShapeError } from "../errors.ts";
import type { ConcreteArray } from "../ir/concrete-array.ts";
import {
  allocateHost,
  type DType,
  formatType,
  type HostArray,
  isInteger,
  type Shape,
  sizeOf,
  type TensorType,
  tensorType,
} from "../ir/tensor-type.ts";

/** A number, or a rectangular nest of arrays of numbers. */
export type NestedNumbers = number | readonly NestedNumbers[];

/** What `array` accepts: numbers and booleans, rectangular nests of them, and typed arrays. */
export type ArrayData = number | boolean | HostArray | readonly ArrayData[];

/** A tensor in JavaScript memory, row-major. Make one with `array` or `hostTensor`. */
export class HostTensor implements ConcreteArray {
  readonly isConcreteArray = true as const;
  readonly type: TensorType;
  /** The elements, row-major; bools are 0 and 1. The tensor owns them. */
  readonly data: HostArray;

  constructor(type: TensorType, data: HostArray) {
    this.type = type;
    this.data = data;
  }

  get shape(): Shape {
    return this.type.shape;
  }

  get dtype(): DType {
    return this.type.dtype;
  }

  /** The elements as nested arrays of numbers; a scalar as a number. Bools are 0 and 1. */
  toNested(): NestedNumbers {
    return nest(this.data, this.shape, 0, 0);
  }

  /** The only element. Throws ShapeError unless there is exactly one. */
  item(): number {
    const [value] = this.data;
    if (value === undefined || this.data.length !== 1) {
      throw new ShapeError(`item: ${formatType(this.type)} has ${this.data.length} elements, not one`);
    }
    return value;
  }

  toString(): string {
    return `HostTensor<${formatType(this.type)}>`;
  }
}

function nest(data: HostArray, shape: Shape, axis: number, offset: number): NestedNumbers {
  const dim = shape[axis];
  if (dim === undefined) return data[offset] ?? Number.NaN;
  const stride = sizeOf(shape.slice(axis + 1));
  return Array.from({ length: dim }, (_, i) => nest(data, shape, axis + 1, offset + i * stride));
}

/**
 * Wraps row-major data without copying it. Throws ShapeError if the size and DTypeError if the kind of array does not
 * fit the type.
 */
export function hostTensor(type: TensorType, data: HostArray): HostTensor {
  const checked = tensorType(type.dtype, type.shape);
  if (data.length !== sizeOf(type.shape)) {
    throw new ShapeError(`hostTensor: ${formatType(type)} has ${sizeOf(type.shape)} elements, got ${data.length}`);
  }
  if (data.constructor !== allocateHost(type.dtype, 0).constructor) {
    throw new DTypeError(
      `hostTensor: ${formatType(type)} is stored in ${allocateHost(type.dtype, 0).constructor.name}, got ${data.constructor.name}`,
    );
  }
  return new HostTensor(checked, data);
}

export interface ArrayOptions {
  /** Default: that of a typed array, else float32, or bool if every element is a boolean. */
  readonly dtype?: DType;
  /** Default: the shape of the nest; a typed array is flat. */
  readonly shape?: Shape;
}

/**
 * A host tensor from a number, a boolean, a rectangular nest of them, or a typed array (copied). Throws ShapeError,
 * naming the place, if a nest is not rectangular; DTypeError, naming the place, if the dtype cannot hold an element.
 */
export function array(data: ArrayData, options: ArrayOptions = {}): HostTensor {
  const flat = isHostArray(data) ? { values: data, shape: [data.length], dtype: dtypeOf(data) } : flattenNest(data);
  const type = tensorType(options.dtype ?? flat.dtype, options.shape ?? flat.shape);
  if (sizeOf(type.shape) !== flat.values.length) {
    throw new ShapeError(`array: ${formatType(type)} has ${sizeOf(type.shape)} elements, got ${flat.values.length}`);
  }
  const storage = allocateHost(type.dtype, flat.values.length);
  if (isInteger(type.dtype) || type.dtype === "bool") requireHeld(type, flat.values, flat.shape);
  storage.set(flat.values);
  return new HostTensor(type, storage);
}

function isHostArray(data: ArrayData): data is HostArray {
  return ArrayBuffer.isView(data);
}

/** The dtype whose storage a typed array is. */
function dtypeOf(data: HostArray): DType {
  if (data instanceof Float64Array) return "float64";
  if (data instanceof Float32Array) return "float32";
  if (data instanceof Int32Array) return "int32";
  if (data instanceof Uint32Array) return "uint32";
  if (data instanceof Uint8Array) return "bool";
  throw new DTypeError(`array: no dtype is stored in ${Object.prototype.toString.call(data).slice(8, -1)}`);
}

interface Flat {
  readonly values: ArrayLike<number>;
  readonly shape: Shape;
  readonly dtype: DType;
}

function flattenNest(data: Exclude<ArrayData, HostArray>): Flat {
  const shape: number[] = [];
  for (let node: unknown = data; isList(node); node = node[0]) shape.push(node.length);
  const values: number[] = [];
  let booleans = 0;
  const visit = (node: unknown, axis: number, path: string): void => {
    const dim = shape[axis];
    const found = isList(node) ? `${node.length} entries` : typeof node;
    if (dim === undefined) {
      if (typeof node !== "number" && typeof node !== "boolean") {
        throw new ShapeError(
          `array: data${path} should be a number or boolean, as at data${"[0]".repeat(axis)}, got ${found}`,
        );
      }
      if (typeof node === "boolean") booleans++;
      values.push(Number(node));
      return;
    }
    if (!isList(node) || node.length !== dim) {
      throw new ShapeError(
        `array: data${path} should have ${dim} entries, as data${"[0]".repeat(axis)} has, got ${found}`,
      );
    }
    node.forEach((child, i) => visit(child, axis + 1, `${path}[${i}]`));
  };
  visit(data, 0, "");
  return { values, shape, dtype: booleans > 0 && booleans === values.length ? "bool" : "float32" };
}

function isList(node: unknown): node is readonly unknown[] {
  return Array.isArray(node);
}

/** Throws DTypeError at the first value that an integer or bool type cannot hold. */
function requireHeld(type: TensorType, values: ArrayLike<number>, shape: Shape): void {
  for (let i = 0; i < values.length; i++) {
    const value = values[i] ?? 0;
    const held = type.dtype === "bool" ? value & 1 : type.dtype === "int32" ? value | 0 : value >>> 0;
    if (held === value) continue;
    throw new DTypeError(
      `array: data${placeOf(i, shape)} is ${value}, which ${type.dtype} cannot hold; give another dtype`,
    );
  }
}

function placeOf(flatIndex: number, shape: Shape): string {
  let rest = flatIndex;
  const place: string[] = [];
  for (const dim of [...shape].reverse()) {
    place.unshift(`[${rest % dim}]`);
    rest = Math.floor(rest / dim);
  }
  return place.join("");
}
