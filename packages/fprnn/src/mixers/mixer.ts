/** The interface of mixers: a matrix Q_t per position that mixes channels, given by few numbers and never materialised. */
import type { MapTree, random, Tensor, Tracer } from "@banach/autograd";

export interface MixerShape {
  /** Number of channels D that Q acts on. */
  readonly channels: number;
  /** Size P of the argument that Q is computed from. */
  readonly argument: number;
  readonly dtype?: random.RandomDType;
}

/**
 * How the argument p of a mixer is made of the input x_t and the previous output y_{t-1}: side by side (P = 2D), their
 * sum (P = D), or x_t alone (P = D, no hidden dependence).
 */
export type MixerArgument = "concatenated" | "symmetric" | "input";

/** The projections of the argument that Q is computed from, n numbers per position, as far as y does not change them. */
export interface BoundMixer<Weights> {
  /** The part of x, [..., n], biases included. */
  readonly input: Tracer;
  /** The matrix that y_{t-1} meets, [n, D], its product added to `input`; null where the argument is x alone. */
  readonly hidden: Tracer | null;
  /** Whatever else `at` needs, the same at every position. */
  readonly weights: Weights;
}

/** Q = I - U V^T at each position, as pairs of vectors [..., D]: Q x = x - sum_i u_i (v_i . x). */
export interface LowRank {
  readonly u: readonly Tracer[];
  /** As many as there are in `u`. */
  readonly v: readonly Tracer[];
}

/**
 * `Params` are what is learned, `Weights` what of it meets the projections, `Q` the matrix at each position. That all
 * projections are one matrix lets a layer join its own maps of y_{t-1} to them, and every solver compute each part once.
 */
export interface Mixer<Params = unknown, Weights = unknown, Q = unknown> {
  readonly name: string;
  init<K extends Tensor>(key: K, shape: MixerShape): MapTree<Params, Tracer, K>;
  /** Everything that does not depend on y, from the input part x [..., D] of the argument. */
  bind(params: Params, x: Tracer, argument: MixerArgument): BoundMixer<Weights>;
  /** Q at each position, from the projections [..., n] (see `projectionAt`). */
  at(projection: Tracer, weights: Weights): Q;
  /** Q x: [..., D] -> [..., D]. */
  apply(q: Q, x: Tracer): Tracer;
  /** Q^T x: [..., D] -> [..., D]. */
  applyTransposed(q: Q, x: Tracer): Tracer;
  /** Factors of I - Q where its rank is small, so that equations with Q have a closed form (`solveWoodbury`); else null. */
  lowRank(q: Q): LowRank | null;
  /**
   * An upper bound on the spectral norm of I - Q at each position, [...] or a shape that broadcasts to it, up to rounding;
   * null where none is known. What is iterated has slope 1 - lambda times that norm, so it contracts where this is below 1.
   */
  bound(q: Q): Tracer | null;
}

/** What a mixer learns. */
export type MixerParams<M> = M extends Mixer<infer P> ? P : never;

/** Size of the argument for D channels. */
export function argumentSize(argument: MixerArgument, channels: number): number {
  return argument === "concatenated" ? 2 * channels : channels;
}
