/** The Householder mixer: a product of r generalised reflections, each along its own direction. */
import { nn, random, type Tensor, type Tracer } from "@banach/autograd";
import { requireOneOf, requirePositive, requirePositiveInteger } from "../options.ts";
import type { Mixer } from "./mixer.ts";
import { bindProjections, initProjection, innerOf, outerWeight, type ProjectionParams, times } from "./projection.ts";

export interface HouseholderOptions {
  /** Number of reflections r; default 1. */
  readonly rank?: number;
  /**
   * Factor on alpha in (0, 1): 1 is the paper's, with eigenvalues 1 - alpha in (0, 1); 2 is the authors' code, with
   * eigenvalues in (-1, 1), whose FP-RNN can leave the contraction region. Default 1.
   */
  readonly gain?: 1 | 2;
  /** Applied to the directions before they are normalised; default silu. */
  readonly activation?: "silu" | "identity";
  /** Computes the directions through a bottleneck of this size; default none. */
  readonly projectionRank?: number;
  /** Least norm of a direction; default 1e-5. */
  readonly eps?: number;
}

/** u_proj [r * D, P] gives the directions, the rank index slow; alpha_proj [r, P] with a bias their strengths. */
export interface HouseholderParams<T> {
  readonly u_proj: ProjectionParams<T>;
  readonly alpha_proj: nn.WeightNormLinearParams<T>;
}

interface HouseholderWeights {
  /** [r * D, projectionRank], or null without a bottleneck. */
  readonly outer: Tracer | null;
}

/** Unit directions [..., D] and strengths gain * alpha [..., 1], one of each per reflection. */
export interface Reflections {
  readonly directions: readonly Tracer[];
  readonly strengths: readonly Tracer[];
}

export type HouseholderMixer = Mixer<HouseholderParams<Tracer>, HouseholderWeights, Reflections>;

/**
 * Q = H_{r-1} ... H_0 with H_i = I - gain alpha_i u_i u_i^T, u_i = l2normalize(activation(u_proj(p))_i) and
 * alpha_i = sigmoid(alpha_proj(p))_i. Throws ArgumentError for an option outside its domain.
 */
export function householder(options: HouseholderOptions = {}): HouseholderMixer {
  const { rank = 1, gain = 1, activation = "silu", projectionRank, eps = 1e-5 } = options;
  requirePositiveInteger("householder: rank", rank);
  requireOneOf("householder: gain", gain, [1, 2]);
  requireOneOf("householder: activation", activation, ["silu", "identity"]);
  requirePositive("householder: eps", eps);
  if (projectionRank !== undefined) requirePositiveInteger("householder: projectionRank", projectionRank);
  return {
    name: `householder(${rank})`,
    init: <K extends Tensor>(
      key: K,
      { channels, argument, dtype = "float32" }: Parameters<HouseholderMixer["init"]>[1],
    ) => {
      const [u = key, alpha = key, ...bottleneck] = random.split(key, 4);
      const shape = { inFeatures: argument, dtype };
      const directions = { ...shape, outFeatures: rank * channels, bias: false };
      return {
        u_proj: initProjection(
          u,
          bottleneck,
          projectionRank === undefined ? directions : { ...directions, rank: projectionRank },
        ),
        alpha_proj: initProjection(alpha, [], {
          ...shape,
          outFeatures: rank,
          bias: true,
        }) as nn.WeightNormLinearParams<K>,
      };
    },
    bind: ({ u_proj, alpha_proj }, x, argument) => ({
      ...bindProjections([innerOf(u_proj), alpha_proj], x, argument),
      weights: { outer: outerWeight(u_proj) },
    }),
    at: (projection, { outer }) => {
      const size = projection.dim(-1) - rank;
      const inner = projection.sliceAxis(-1, 0, size);
      const a = outer === null ? inner : times(inner, outer);
      const activated = activation === "silu" ? nn.silu(a) : a;
      const u = nn.l2Normalize(activated.reshape([...a.shape.slice(0, -1), rank, a.dim(-1) / rank]), { eps });
      const strengths = projection
        .sliceAxis(-1, size, size + rank)
        .logistic()
        .mul(gain);
      const each = Array.from({ length: rank }, (_, i) => i);
      return {
        directions: each.map((i) => u.index(-2, i)),
        strengths: each.map((i) => strengths.sliceAxis(-1, i, i + 1)),
      };
    },
    apply: ({ directions, strengths }, x) =>
      directions.reduce((y, u, i) => {
        const along = u.mul(y).sum({ axes: -1, keepDims: true });
        return y.sub(u.mul(along.mul(strengths[i] ?? 0)));
      }, x),
  };
}
