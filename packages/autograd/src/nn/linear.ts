/** Affine maps of the last axis, plain and with normalised weights. */
import type { DType } from "../ir/tensor-type.ts";
import { dotGeneral } from "../ops/contraction.ts";
import { full } from "../ops/creation.ts";
import { add, div, mul, sqrt, square } from "../ops/elementwise.ts";
import { lift } from "../ops/lift.ts";
import { sum } from "../ops/reduction.ts";
import { type RandomDType, uniform } from "../random/distributions.ts";
import { eagerly, type Tensor } from "../random/eager.ts";
import type { Operand, Tracer } from "../trace/tracer.ts";

export interface LinearInit {
  /** Size of the input's last axis. */
  readonly inFeatures: number;
  /** Size of the result's last axis. */
  readonly outFeatures: number;
  /** Whether there is a bias; default true. It starts at 0. */
  readonly bias?: boolean;
  /** Default float32. */
  readonly dtype?: RandomDType;
}

/** y = x W^T + b: weight [out, in], bias [out]. */
export interface LinearParams<T> {
  readonly weight: T;
  readonly bias?: T;
}

/** y = x W^T + b with W[o] = g[o] v[o] / ||v[o]||: v [out, in], g [out, 1], bias [out]. */
export interface WeightNormLinearParams<T> {
  readonly v: T;
  readonly g: T;
  readonly bias?: T;
}

/** U(-1/sqrt(in), 1/sqrt(in)), [out, in]. */
function drawWeight(key: Tracer, init: LinearInit): Tracer {
  const bound = 1 / Math.sqrt(Math.max(1, init.inFeatures));
  return uniform(key, [init.outFeatures, init.inFeatures], { low: -bound, high: bound, dtype: dtypeOf(init) });
}

function dtypeOf(init: LinearInit): RandomDType {
  return init.dtype ?? "float32";
}

function biasOf(init: LinearInit, dtype: DType): { readonly bias?: Tracer } {
  return init.bias === false ? {} : { bias: full([init.outFeatures], 0, dtype) };
}

function initLinear<K extends Tensor>(key: K, init: LinearInit): LinearParams<K> {
  const create = (k: Tracer): LinearParams<Tracer> => ({
    weight: drawWeight(k, init),
    ...biasOf(init, dtypeOf(init)),
  });
  return eagerly(create)(key) as LinearParams<K>;
}

/** x [..., in] times the transpose of weight [out, in] -> [..., out]. */
export function matmulTransposed(x: Tracer, weight: Operand): Tracer {
  return dotGeneral(x, weight, { contracting: [[Math.max(0, x.rank - 1)], [1]] });
}

function applyLinear(params: LinearParams<Operand>, operand: Operand): Tracer {
  const y = matmulTransposed(lift("linear", operand), params.weight);
  return params.bias === undefined ? y : add(y, params.bias);
}

function initWeightNorm<K extends Tensor>(key: K, init: LinearInit): WeightNormLinearParams<K> {
  const create = (k: Tracer): WeightNormLinearParams<Tracer> => {
    const v = drawWeight(k, init);
    return { v, g: rowNorm(v), ...biasOf(init, dtypeOf(init)) };
  };
  return eagerly(create)(key) as WeightNormLinearParams<K>;
}

/** [out, in] -> [out, 1]. */
function rowNorm(v: Tracer): Tracer {
  return sqrt(sum(square(v), { axes: 1, keepDims: true }));
}

function weightOf(params: WeightNormLinearParams<Operand>): Tracer {
  const v = lift("weightNormLinear", params.v);
  return mul(v, div(params.g, rowNorm(v)));
}

function applyWeightNorm(params: WeightNormLinearParams<Operand>, operand: Operand): Tracer {
  const { bias } = params;
  const weight = weightOf(params);
  return applyLinear(bias === undefined ? { weight } : { weight, bias }, operand);
}

/** [..., in] -> [..., out]. `init` draws W from U(-1/sqrt(in), 1/sqrt(in)) and sets b to 0. */
export const linear: { readonly init: typeof initLinear; readonly apply: typeof applyLinear } = {
  init: initLinear,
  apply: applyLinear,
};

/**
 * [..., in] -> [..., out] with the direction v and the length g of each row of W apart (T. Salimans and D. P. Kingma,
 * "Weight normalization", 2016). `init` is that of `linear`, with g = ||v||. A row of v that is 0 gives NaN.
 * `weight` returns W [out, in], to compute it once when it is applied many times.
 */
export const weightNormLinear: {
  readonly init: typeof initWeightNorm;
  readonly apply: typeof applyWeightNorm;
  readonly weight: typeof weightOf;
} = { init: initWeightNorm, apply: applyWeightNorm, weight: weightOf };
