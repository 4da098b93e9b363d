/** The Kronecker mixer: the channels as a matrix, its rows mixed by one small matrix and its columns by another. */
import { nn, type Tracer } from "@banach/autograd";
import { requireOneOf } from "../options.ts";
import { type Factors, factorsOf, factorsOfParams, requireFactors } from "./factors.ts";
import { powerIteration, schattenNorm, schattenNormalize } from "./matrix-norm.ts";
import type { Mixer } from "./mixer.ts";
import { type SelectiveOptions, selectiveOptions } from "./options.ts";
import {
  bindSelective,
  initSelective,
  type ProjectionParams,
  readSelective,
  type SelectiveWeights,
  valuesOf,
} from "./projection.ts";
import {
  product,
  timesTransposed,
  transposedTimes,
  trianglePositions,
  triangleSize,
  upperTriangular,
} from "./small-matrix.ts";

export type KroneckerNormalisation = "column" | "spectral" | "certified";

export interface KroneckerOptions extends SelectiveOptions {
  /**
   * What each factor M = L L^T is divided by; its rows are scaled by strengths in (0, 1) afterwards.
   * - "column", the default: each row by its length. The norm of I - Q can reach gain sqrt(D): FP-RNN can diverge.
   * - "spectral": the same, and then by an estimate of the norm from 16 steps of power iteration. Not a bound.
   * - "certified": by an upper bound on its norm, so that the norm of I - Q is below gain: with gain 1 the map contracts.
   * The first two are the authors', for FP-Mamba and for FP-RNN.
   */
  readonly normalisation?: KroneckerNormalisation;
  /** d1 and d2 with d1 d2 = D; default the most equal ones, the smaller first. */
  readonly factors?: Factors;
}

/** uv_project [n1 + n2, P] with n = d (d + 1) / 2 gives the triangles, diag [d1 + d2, P] with a bias the strengths. */
export interface KroneckerParams<T> {
  readonly uv_project: ProjectionParams<T>;
  readonly diag: nn.WeightNormLinearParams<T>;
}

export interface KroneckerWeights extends SelectiveWeights {
  /** Where the entries of the two triangles are, int32[d1, d1] and int32[d2, d2]. */
  readonly positions: readonly [Tracer, Tracer];
}

/** I - Q = U^T (x) V with U [..., d1, d1], of which gain is a factor, and V [..., d2, d2]. */
export interface KroneckerPair {
  readonly u: Tracer;
  readonly v: Tracer;
}

export type KroneckerMixer = Mixer<KroneckerParams<Tracer>, KroneckerWeights, KroneckerPair>;

const POWER_STEPS = 16;

/**
 * Q x = x - gain vec(U^T X V^T), with X = x as d1 x d2, row by row, U = diag(s1) M1, V = diag(s2) M2, s = sigmoid(diag(p)),
 * and M_k = L_k L_k^T normalised, L_k being upper triangular with the entries activation(uv_project(p)). (The transpose
 * gives U^T unit columns, hence the name.) Throws ArgumentError for an option outside its domain, and at init and bind for
 * factors that do not multiply to D, or a D without any.
 */
export function kronecker(options: KroneckerOptions = {}): KroneckerMixer {
  const { normalisation = "column", factors } = options;
  const { gain, activation, projectionRank, eps } = selectiveOptions("kronecker", options);
  requireOneOf("kronecker: normalisation", normalisation, ["column", "spectral", "certified"]);
  if (factors !== undefined) requireFactors("kronecker", factors);
  const normalise = NORMALISATIONS[normalisation];
  return {
    name: `kronecker(${normalisation})`,
    init: (key, shape) => {
      const [d1, d2] = factorsOf("kronecker", shape.channels, factors);
      const sizes = { values: triangleSize(d1) + triangleSize(d2), strengths: d1 + d2 };
      const { values, strengths } = initSelective(key, shape, sizes, projectionRank);
      return { uv_project: values, diag: strengths };
    },
    bind: ({ uv_project, diag }, x, argument) => {
      const { weights, ...bound } = bindSelective(uv_project, diag, x, argument);
      const [values, strengths] = [valuesOf(uv_project), diag.v.dim(0)];
      // There are d1 + d2 strengths, and (d1^2 + d2^2 + d1 + d2) / 2 values.
      const [d1, d2] = factorsOfParams("kronecker", (strengths ** 2 + strengths) / 2 - values, strengths, factors);
      const positions = [trianglePositions(d1), trianglePositions(d2)] as const;
      return { ...bound, weights: { ...weights, positions } };
    },
    at: (projection, { outer, positions }) => {
      const [d1, d2] = [positions[0].dim(0), positions[1].dim(0)];
      const { values, strengths } = readSelective(projection, { outer }, d1 + d2, activation);
      const n1 = triangleSize(d1);
      const factor = (entries: Tracer, at: Tracer, s: Tracer): Tracer => {
        const l = upperTriangular(entries, at);
        return normalise(timesTransposed(l, l), eps).mul(s.expandDims(-1));
      };
      return {
        u: factor(values.sliceAxis(-1, 0, n1), positions[0], strengths.sliceAxis(-1, 0, d1).mul(gain)),
        v: factor(values.sliceAxis(-1, n1, values.dim(-1)), positions[1], strengths.sliceAxis(-1, d1, d1 + d2)),
      };
    },
    apply: ({ u, v }, x) => x.sub(timesTransposed(transposedTimes(u, asMatrix(x, u, v)), v).reshape(x.shape)),
    applyTransposed: ({ u, v }, x) => x.sub(product(product(u, asMatrix(x, u, v)), v).reshape(x.shape)),
    lowRank: () => null,
    bound: ({ u, v }) => schattenNorm(u).mul(schattenNorm(v)),
  };
}

const NORMALISATIONS: Readonly<Record<KroneckerNormalisation, (m: Tracer, eps: number) => Tracer>> = {
  column: (m, eps) => nn.l2Normalize(m, { eps }),
  spectral: (m, eps) => {
    const rows = nn.l2Normalize(m, { eps });
    return rows.div(powerIteration(rows, POWER_STEPS).add(eps));
  },
  certified: schattenNormalize,
};

/** x [..., D] as [..., d1, d2]. */
function asMatrix(x: Tracer, u: Tracer, v: Tracer): Tracer {
  return x.reshape([...x.shape.slice(0, -1), u.dim(-1), v.dim(-1)]);
}
