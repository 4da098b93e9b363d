/** The dense mixer: a D x D matrix of the argument, the general selective case; for small D. */
import type { nn, Tracer } from "@banach/autograd";
import { schattenNorm, schattenNormalize } from "./matrix-norm.ts";
import type { Mixer } from "./mixer.ts";
import { type SelectiveOptions, selectiveOptions } from "./options.ts";
import {
  bindSelective,
  initSelective,
  type ProjectionParams,
  readSelective,
  type SelectiveWeights,
  sizesAsShape,
} from "./projection.ts";
import { timesVector, transposedTimesVector } from "./small-matrix.ts";

export type DenseOptions = SelectiveOptions;

/** proj [D * D, P] gives the matrix, row by row; diag [D, P] with a bias the strength of each row. */
export interface DenseParams<T> {
  readonly proj: ProjectionParams<T>;
  readonly diag: nn.WeightNormLinearParams<T>;
}

export interface DenseWeights extends SelectiveWeights {
  /** [D, 0]. */
  readonly sizes: Tracer;
}

/** I - Q, [..., D, D]. */
export interface DenseMatrix {
  readonly rest: Tracer;
}

export type DenseMixer = Mixer<DenseParams<Tracer>, DenseWeights, DenseMatrix>;

/**
 * Q = I - gain diag(s) A / ||A||_4, with A = activation(proj(p)) as D x D, its Schatten 4-norm, which bounds the spectral
 * norm, and s = sigmoid(diag(p)). The norm of I - Q is below gain: with gain 1 the map contracts. D^2 numbers per position
 * and D^3 multiplications to bound them. Throws ArgumentError for an option outside its domain.
 */
export function dense(options: DenseOptions = {}): DenseMixer {
  const { gain, activation, projectionRank, eps } = selectiveOptions("dense", options);
  return {
    name: "dense",
    init: (key, shape) => {
      const { channels } = shape;
      const sizes = { values: channels ** 2, strengths: channels };
      const { values, strengths } = initSelective(key, shape, sizes, projectionRank);
      return { proj: values, diag: strengths };
    },
    bind: ({ proj, diag }, x, argument) => {
      const { weights, ...bound } = bindSelective(proj, diag, x, argument);
      return { ...bound, weights: { ...weights, sizes: sizesAsShape([diag.v.dim(0)], x.dtype) } };
    },
    at: (projection, { outer, sizes }) => {
      const d = sizes.dim(0);
      const { values, strengths } = readSelective(projection, { outer }, d, activation);
      const a = schattenNormalize(values.reshape([...values.shape.slice(0, -1), d, d]), eps);
      return { rest: a.mul(strengths.mul(gain).expandDims(-1)) };
    },
    apply: ({ rest }, x) => x.sub(timesVector(rest, x)),
    applyTransposed: ({ rest }, x) => x.sub(transposedTimesVector(rest, x)),
    lowRank: () => null,
    bound: ({ rest }) => schattenNorm(rest),
  };
}
