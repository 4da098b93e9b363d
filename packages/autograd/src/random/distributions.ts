/** Random tensors that can be drawn inside a trace, on any backend: one definition for tracers and host tensors. */
import { ArgumentError, DTypeError } from "../errors.ts";
import type { DType, Shape } from "../ir/tensor-type.ts";
import { add, div, less, mul, sub } from "../ops/elementwise.ts";
import { astype, broadcastTo, lift } from "../ops/lift.ts";
import type { Operand, Tracer } from "../trace/tracer.ts";
import { eagerly, type Tensor } from "./eager.ts";
import { erfinv } from "./erfinv.ts";
import { drawBits } from "./key.ts";

/** Dtypes that hold 24 random bits. Both give the same numbers, up to the rounding of float32. */
export type RandomDType = "float32" | "float64";

export interface UniformOptions {
  /** Default 0. */
  readonly low?: number;
  /** Default 1. */
  readonly high?: number;
  /** Default float32. */
  readonly dtype?: RandomDType;
}

export interface NormalOptions {
  /** Default 0. */
  readonly mean?: number;
  /** Standard deviation; default 1. */
  readonly stddev?: number;
  /** Default float32. */
  readonly dtype?: RandomDType;
}

/** float32 and float64 hold 24 bits exactly; a narrower float would round some numbers to 1. */
function requireRandomDType(op: string, dtype: DType): void {
  if (dtype !== "float32" && dtype !== "float64") {
    throw new DTypeError(`${op}: draws float32 or float64, not ${dtype}; convert the result with astype`);
  }
}

/**
 * Uniform on [low, high), in steps of 2^-24 of the range (rounding may reach `high` when |low| is large against the
 * range). The same bits on every backend. Throws ArgumentError unless low and high are finite and in order.
 */
export function uniform<K extends Tensor>(key: K, shape: Shape, options: UniformOptions = {}): K {
  const { low = 0, high = 1, dtype = "float32" } = options;
  requireRandomDType("uniform", dtype);
  if (!(low <= high && Number.isFinite(high - low))) {
    throw new ArgumentError(`uniform: low and high must be finite with low <= high, got ${low} and ${high}`);
  }
  return eagerly(drawUniform)(key, shape, low, high, dtype) as K;
}

function drawUniform(key: Tracer, shape: Shape, low: number, high: number, dtype: DType): Tracer {
  const unit = mul(astype(div(drawBits(key, shape), 2 ** 8), dtype), 2 ** -24);
  const scaled = high - low === 1 ? unit : mul(unit, high - low);
  return low === 0 ? scaled : add(scaled, low);
}

/**
 * Normal with the given mean and standard deviation, from 24 bits each: no draw is further out than 5.42 deviations.
 * Throws ArgumentError unless the mean is finite, and the deviation finite and not negative.
 */
export function normal<K extends Tensor>(key: K, shape: Shape, options: NormalOptions = {}): K {
  const { mean = 0, stddev = 1, dtype = "float32" } = options;
  requireRandomDType("normal", dtype);
  if (!(Number.isFinite(mean) && Number.isFinite(stddev) && stddev >= 0)) {
    throw new ArgumentError(`normal: mean and stddev must be finite and stddev >= 0, got ${mean} and ${stddev}`);
  }
  return eagerly(drawNormal)(key, shape, mean, stddev, dtype) as K;
}

function drawNormal(key: Tracer, shape: Shape, mean: number, stddev: number, dtype: DType): Tracer {
  // k of 24 bits -> (2k + 1 - 2^24) / 2^24: odd multiples of 2^-24, symmetric, within (-1, 1), exact in float32.
  const k = div(drawBits(key, shape), 2 ** 8);
  const odd = sub(astype(add(mul(k, 2), 1), "int32"), 2 ** 24);
  const standard = mul(erfinv(mul(astype(odd, dtype), 2 ** -24)), Math.SQRT2 * stddev);
  return mean === 0 ? standard : add(standard, mean);
}

/**
 * bool: true with probability p, a number or a float tensor that broadcasts to `shape`; p is used in steps of 2^-24.
 * Throws ArgumentError if a plain p lies outside [0, 1].
 */
export function bernoulli<K extends Tensor>(key: K, shape: Shape, p: Operand): K {
  if (typeof p === "number" && !(p >= 0 && p <= 1)) {
    throw new ArgumentError(`bernoulli: p must be in [0, 1], got ${p}`);
  }
  return eagerly(drawBernoulli)(key, shape, p) as K;
}

function drawBernoulli(key: Tracer, shape: Shape, p: Operand): Tracer {
  const probability = lift("bernoulli", p);
  const dtype = probability.dtype === "float64" ? "float64" : "float32";
  return less(drawUniform(key, shape, 0, 1, dtype), broadcastTo(probability, shape));
}
