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

/**
 * `Params` are what is learned; `Inputs` what depends on the position but not on y (leaves [..., n]); `Weights` the
 * matrices that y meets; `Q` the matrix at each position. The split lets every solver compute each part once.
 */
export interface Mixer<Params = unknown, Inputs = unknown, Weights = unknown, Q = unknown> {
  readonly name: string;
  init<K extends Tensor>(key: K, shape: MixerShape): MapTree<Params, Tracer, K>;
  /** Everything that does not depend on y, from the input part x [..., D] of the argument. */
  bind(params: Params, x: Tracer, argument: MixerArgument): { readonly inputs: Inputs; readonly weights: Weights };
  /** Q at each position; `previous` is y_{t-1} [..., D], unused where the argument is the input alone. */
  at(inputs: Inputs, weights: Weights, previous: Tracer): Q;
  /** Q x: [..., D] -> [..., D]. */
  apply(q: Q, x: Tracer): Tracer;
}

/** Size of the argument for D channels. */
export function argumentSize(argument: MixerArgument, channels: number): number {
  return argument === "concatenated" ? 2 * channels : channels;
}
