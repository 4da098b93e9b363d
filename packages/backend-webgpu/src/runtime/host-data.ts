/** Host data as the device holds it, and back: bools are words there, float16 half a word. */
import { allocateHost, type HostArray, sizeOf, type TensorType } from "@banach/autograd/backend";
import { storageBytes } from "../codegen/layout.ts";

/** A whole number of words. The result may be `data` itself. */
export function toDevice(data: HostArray, { dtype, shape }: TensorType): ArrayBufferView<ArrayBuffer> {
  if (dtype === "bool") return Uint32Array.from(data);
  if (dtype === "float16") {
    const halves = new Uint16Array(storageBytes(dtype, sizeOf(shape)) / 2);
    data.forEach((value, i) => (halves[i] = toHalfBits(value)));
    return halves;
  }
  // Arrays of tensors are views of buffers of their own, never of shared memory.
  return data as Exclude<HostArray, Uint8Array> as ArrayBufferView<ArrayBuffer>;
}

export function toHost(bytes: ArrayBuffer, { dtype, shape }: TensorType): HostArray {
  const size = sizeOf(shape);
  switch (dtype) {
    case "bool":
      return Uint8Array.from(new Uint32Array(bytes, 0, size));
    case "int32":
      return new Int32Array(bytes, 0, size);
    case "uint32":
      return new Uint32Array(bytes, 0, size);
    case "float16": {
      const data = allocateHost(dtype, size);
      new Uint16Array(bytes, 0, size).forEach((half, i) => (data[i] = fromHalfBits(half)));
      return data;
    }
    default:
      return new Float32Array(bytes, 0, size);
  }
}

const float = new Float32Array(1);
const word = new Uint32Array(float.buffer);

/** The bits of the nearest float16, ties to even. */
export function toHalfBits(value: number): number {
  float[0] = value;
  const bits = word[0] ?? 0;
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = Math.abs(value);
  if (Number.isNaN(value)) return sign | 0x7e00;
  if (magnitude >= 65520) return sign | 0x7c00;
  // Below the normal numbers, halves are evenly spaced.
  if (magnitude < 2 ** -14) return sign | roundToEven(magnitude * 2 ** 24);
  const exponent = ((bits >>> 23) & 255) - 127;
  return sign | (((exponent + 14) << 10) + roundToEven(magnitude * 2 ** (10 - exponent)));
}

export function fromHalfBits(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : Number.NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
}

function roundToEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  return below + (rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? 1 : 0);
}
