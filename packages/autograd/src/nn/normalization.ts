/** Normalisations of feature vectors. */
import { ArgumentError } from "../errors.ts";
import type { DType } from "../ir/tensor-type.ts";
import { add, div, lessEqual, mul, sqrt, square, sub, where } from "../ops/elementwise.ts";
import { full } from "../ops/creation.ts";
import { lift, normalizeAxis } from "../ops/lift.ts";
import { mean, sum } from "../ops/reduction.ts";
import { eagerly, type Tensor } from "../random/eager.ts";
import type { HostTensor } from "../runtime/host-tensor.ts";
import type { Operand, Tracer } from "../trace/tracer.ts";

/** Scale and, for a layer normalisation, shift of each feature: [features]. */
export interface NormParams<T> {
  readonly weight: T;
  readonly bias?: T;
}

export interface NormInit {
  readonly features: number;
  /** Whether there is a bias. */
  readonly bias?: boolean;
  /** Default float32. */
  readonly dtype?: DType;
}

/**
 * Initial parameters: weight 1 and, if asked for, bias 0. Host tensors outside a trace; `initNorm<Tracer>` states that it
 * is called inside one.
 */
export function initNorm<T extends Tensor = HostTensor>(init: NormInit): NormParams<T> {
  const { features, bias = false, dtype = "float32" } = init;
  const create = (): NormParams<Tracer> => {
    const weight = full([features], 1, dtype);
    return bias ? { weight, bias: full([features], 0, dtype) } : { weight };
  };
  return eagerly(create)() as NormParams<T>;
}

export interface LayerNormOptions {
  /** [features], default 1. */
  readonly weight?: Operand;
  /** [features], default 0. */
  readonly bias?: Operand;
  /** Added to the variance; default 1e-5. */
  readonly eps?: number;
}

export interface RmsNormOptions {
  /** [features], default 1. */
  readonly weight?: Operand;
  /** Added to the mean square; default 1e-5. */
  readonly eps?: number;
}

/** (x - mean) / sqrt(variance + eps) * weight + bias over the last axis of [..., features]; the variance is the biased one. */
export function layerNorm(operand: Operand, options: LayerNormOptions = {}): Tracer {
  const x = lift("layerNorm", operand);
  const centred = sub(x, mean(x, { axes: -1, keepDims: true }));
  const scaled = divideByRoot(centred, mean(square(centred), { axes: -1, keepDims: true }), options);
  return options.bias === undefined ? scaled : add(scaled, options.bias);
}

/** x / sqrt(mean(x^2) + eps) * weight over the last axis of [..., features]. */
export function rmsNorm(operand: Operand, options: RmsNormOptions = {}): Tracer {
  const x = lift("rmsNorm", operand);
  return divideByRoot(x, mean(square(x), { axes: -1, keepDims: true }), options);
}

function divideByRoot(x: Tracer, meanSquare: Tracer, options: RmsNormOptions): Tracer {
  const normalised = div(x, sqrt(add(meanSquare, options.eps ?? 1e-5)));
  return options.weight === undefined ? normalised : mul(normalised, options.weight);
}

export interface L2NormalizeOptions {
  /** Axis of the vectors; default the last. */
  readonly axis?: number;
  /** The least norm divided by; default 1e-5. */
  readonly eps?: number;
}

/**
 * x / max(||x||, eps) along an axis. Vectors shorter than eps are divided by eps, and so are their gradients; nothing is
 * NaN at 0. Throws ArgumentError unless eps is positive.
 */
export function l2Normalize(operand: Operand, options: L2NormalizeOptions = {}): Tracer {
  const x = lift("l2Normalize", operand);
  const axis = normalizeAxis("l2Normalize", x, options.axis ?? -1);
  const eps = options.eps ?? 1e-5;
  if (!(eps > 0)) throw new ArgumentError(`l2Normalize: eps must be positive, got ${eps}`);
  const squared = sum(square(x), { axes: axis, keepDims: true });
  const short = lessEqual(squared, eps * eps);
  // The root is taken of 1 where its result is not used, for its slope at 0 is infinite.
  return div(x, where(short, eps, sqrt(where(short, 1, squared))));
}
