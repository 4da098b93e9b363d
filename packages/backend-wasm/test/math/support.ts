/** What the tests of the mathematics share: functions of lanes run over arrays, sweeps of floats, errors in ulp. */
import { setFlagsFromString } from "node:v8";
import type { FunctionBuilder } from "../../src/wasm/index.ts";
import { i32, ModuleBuilder, probeFeatures, v128 } from "../../src/wasm/index.ts";
import type { Vector } from "../../src/math/index.ts";
import { instantiate } from "../wasm/support.ts";

// Node 20 has relaxed SIMD behind a flag, which later versions do not know as an experiment.
if (!probeFeatures().relaxedSimd) setFlagsFromString("--experimental-wasm-relaxed-simd");

/** Both forms of the functions, where the engine has relaxed SIMD. */
export const forms: readonly { readonly relaxed: boolean }[] = probeFeatures().relaxedSimd
  ? [{ relaxed: false }, { relaxed: true }]
  : [{ relaxed: false }];

type Lanes = Float32Array | Int32Array | Uint32Array;

/** A module with `run(n)`: applies the function to arrays of n words that lie `stride` bytes apart, the result last. */
export function loopOver(
  fn: (f: FunctionBuilder, ...operands: Vector[]) => Vector,
  operands: number,
  stride: number,
): Uint8Array<ArrayBuffer> {
  const m = new ModuleBuilder();
  m.export("memory", m.memory({ min: Math.ceil(((operands + 1) * stride) / 65_536) }));
  const run = m.func("run", ["i32"], [], (f, n) => {
    f.range(0, i32.shl(n, 2), 16, (i) => {
      const loaded = Array.from({ length: operands }, (_, k) => v128.load(i, k * stride));
      f.v128.store(i, fn(f, ...loaded), operands * stride);
    });
  });
  m.export("run", run);
  return m.build();
}

/** Applies a function of lanes to every element of arrays of one length, and gives the results' words. */
export function apply(
  fn: (f: FunctionBuilder, ...operands: Vector[]) => Vector,
  ...operands: readonly Lanes[]
): Uint32Array {
  const length = operands[0]!.length;
  const stride = 16 * Math.ceil(length / 4);
  const exports = instantiate(loopOver(fn, operands.length, stride));
  const { buffer } = exports["memory"] as unknown as { buffer: ArrayBuffer };
  operands.forEach((operand, k) => {
    const words = new Uint32Array(operand.buffer, operand.byteOffset, length);
    new Uint32Array(buffer, k * stride, length).set(words);
  });
  exports["run"]!(4 * Math.ceil(length / 4));
  return new Uint32Array(buffer, operands.length * stride, length).slice();
}

/** As `apply`, for a function whose lanes are floats. */
export const applyFloats = (...args: Parameters<typeof apply>): Float32Array => new Float32Array(apply(...args).buffer);

/** Floats with evenly spaced bit patterns: all exponents, both signs, denormals; an odd stride so that low bits vary. */
export function everyExponent(count: number): Float32Array {
  const stride = Math.floor(2 ** 32 / count) | 1;
  return new Float32Array(Uint32Array.from({ length: count }, (_, i) => Math.imul(i, stride)).buffer);
}

/** Evenly spaced floats from `low` to `high`. */
export const between = (low: number, high: number, count: number): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => low + ((high - low) * i) / (count - 1));

/** The floats around a value: `reach` to either side. */
export function around(value: number, reach = 50): Float32Array {
  const [bits] = new Uint32Array(Float32Array.of(value).buffer);
  return new Float32Array(Uint32Array.from({ length: 2 * reach + 1 }, (_, i) => bits! + i - reach).buffer);
}

export const join = (...parts: readonly Float32Array[]): Float32Array =>
  Float32Array.from(parts.flatMap((part) => [...part]));

/** Largest float32. */
export const greatestFloat = (2 - 2 ** -23) * 2 ** 127;

const leastNormal = 2 ** -126;

/** The distance of neighbouring float32 at a value. */
function ulp(value: number): number {
  const exponent = Math.floor(Math.log2(Math.max(Math.abs(value), leastNormal)));
  return 2 ** (Math.min(exponent, 127) - 23);
}

/**
 * Error of a float32 in ulp of the truth, which is a float64. Infinity stands for 2^128; special values have to be equal,
 * and a denormal may be 0 instead.
 */
export function ulpError(got: number, truth: number): number {
  if (Object.is(got, Math.fround(truth)) && !Number.isFinite(got)) return 0;
  if (Number.isNaN(got) || Number.isNaN(truth) || truth === Infinity || truth === -Infinity) return Infinity;
  if (got === 0 && Math.abs(truth) < leastNormal) return 0;
  const finite = Number.isFinite(got) ? got : Math.sign(got) * 2 ** 128;
  return Math.abs(finite - truth) / ulp(truth);
}

/** Maximum, and the value that 99.9 % do not exceed. */
export function summary(errors: Float64Array): { readonly max: number; readonly most: number } {
  const sorted = errors.slice().sort();
  return { max: sorted.at(-1) ?? 0, most: sorted[Math.floor(0.999 * (sorted.length - 1))] ?? 0 };
}
