/** The Monarch mixer: the channels as a matrix, each of its rows mixed by its own small matrix, and then each column. */
import type { nn, Tracer } from "@banach/autograd";
import { type Factors, factorsOf, factorsOfParams, requireFactors } from "./factors.ts";
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
  valuesOf,
} from "./projection.ts";
import { timesVector, transposed, transposedTimesVector } from "./small-matrix.ts";

export interface MonarchOptions extends SelectiveOptions {
  /** d1 and d2 with d1 d2 = D; default the most equal ones, the smaller first. */
  readonly factors?: Factors;
}

/** uv_project [D (d1 + d2), P] gives the blocks R, then L, row by row; alpha [d1 + d2, P] with a bias their strengths. */
export interface MonarchParams<T> {
  readonly uv_project: ProjectionParams<T>;
  readonly alpha: nn.WeightNormLinearParams<T>;
}

export interface MonarchWeights extends SelectiveWeights {
  /** [d1, d2, 0]. */
  readonly sizes: Tracer;
}

/** d1 blocks R_i [..., d1, d2, d2], of which gain is a factor, and d2 blocks L_j [..., d2, d1, d1]. */
export interface MonarchBlocks {
  readonly r: Tracer;
  readonly l: Tracer;
}

export type MonarchMixer = Mixer<MonarchParams<Tracer>, MonarchWeights, MonarchBlocks>;

/**
 * Q = I - gain P^T L P R: with X = x as d1 x d2, row by row, R = diag(R_1 .. R_d1) maps row i of X by R_i, and then L =
 * diag(L_1 .. L_d2) column j by L_j; P transposes X. This is the form of T. Dao et al., "Monarch: Expressive structured
 * matrices for efficient and accurate training" (2022), which has Kronecker products as the case of equal blocks. Each
 * block is alpha in (0, 1) times a matrix of activation(uv_project(p)) over its Schatten 4-norm, so that the norm of I - Q
 * is below gain: with gain 1 the map contracts. (What the code of arXiv 2503.10799 calls Monarch is another form: a single
 * block-diagonal matrix, without the factor 2 of its other mixers, over a norm that does not bound it.) D (d1 + d2) numbers per position: for small D. Throws
 * ArgumentError for an option outside its domain, and at init and bind for factors that do not multiply to D, or a D
 * without any.
 */
export function monarch(options: MonarchOptions = {}): MonarchMixer {
  const { factors } = options;
  const { gain, activation, projectionRank, eps } = selectiveOptions("monarch", options);
  if (factors !== undefined) requireFactors("monarch", factors);
  return {
    name: "monarch",
    init: (key, shape) => {
      const [d1, d2] = factorsOf("monarch", shape.channels, factors);
      const sizes = { values: shape.channels * (d1 + d2), strengths: d1 + d2 };
      const { values, strengths } = initSelective(key, shape, sizes, projectionRank);
      return { uv_project: values, alpha: strengths };
    },
    bind: ({ uv_project, alpha }, x, argument) => {
      const { weights, ...bound } = bindSelective(uv_project, alpha, x, argument);
      const strengths = alpha.v.dim(0);
      const sizes = factorsOfParams("monarch", valuesOf(uv_project) / strengths, strengths, factors);
      return { ...bound, weights: { ...weights, sizes: sizesAsShape(sizes, x.dtype) } };
    },
    at: (projection, { outer, sizes }) => {
      const [d1, d2] = [sizes.dim(0), sizes.dim(1)];
      const { values, strengths } = readSelective(projection, { outer }, d1 + d2, activation);
      const before = values.shape.slice(0, -1);
      const blocks = (count: number, size: number, start: number, alpha: Tracer): Tracer => {
        const flat = values.sliceAxis(-1, start, start + count * size * size);
        const square = flat.reshape([...before, count, size, size]);
        return schattenNormalize(square, eps).mul(alpha.expandDims(-1).expandDims(-1));
      };
      return {
        r: blocks(d1, d2, 0, strengths.sliceAxis(-1, 0, d1).mul(gain)),
        l: blocks(d2, d1, d1 * d2 * d2, strengths.sliceAxis(-1, d1, d1 + d2)),
      };
    },
    apply: ({ r, l }, x) => {
      const rows = timesVector(r, asMatrix(x, r));
      return x.sub(transposed(timesVector(l, transposed(rows))).reshape(x.shape));
    },
    applyTransposed: ({ r, l }, x) => {
      const columns = transposedTimesVector(l, transposed(asMatrix(x, r)));
      return x.sub(transposedTimesVector(r, transposed(columns)).reshape(x.shape));
    },
    lowRank: () => null,
    bound: ({ r, l }) =>
      schattenNorm(r)
        .max({ axes: -1 })
        .mul(schattenNorm(l).max({ axes: -1 })),
  };
}

/** x [..., D] as [..., d1, d2]. */
function asMatrix(x: Tracer, r: Tracer): Tracer {
  return x.reshape([...x.shape.slice(0, -1), r.dim(-3), r.dim(-1)]);
}
