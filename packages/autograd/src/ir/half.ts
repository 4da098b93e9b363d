/** Rounding to float16, which is stored as float32. */
import type { HostArray } from "./tensor-type.ts";

const float = new Float32Array(1);
const bits = new Int32Array(float.buffer);

/** The nearest float16 of a float32, ties to even. */
export function roundToHalf(x: number): number {
  if (!Number.isFinite(x)) return x;
  float[0] = x;
  const exponent = Math.max((((bits[0] as number) >> 23) & 255) - 127, -14);
  // Adding a float64 whose last bit weighs as much as the half's makes the addition do the rounding.
  const anchor = 1.5 * 2 ** (exponent + 42);
  const rounded = x + anchor - anchor;
  if (rounded === 0) return x * 0;
  return Math.abs(rounded) > 65504 ? rounded * Infinity : rounded;
}

/** Rounds elements `start` to `end` in place. */
export function roundAllToHalf(out: HostArray, start = 0, end: number = out.length): void {
  for (let i = start; i < end; i++) out[i] = roundToHalf(out[i] as number);
}
