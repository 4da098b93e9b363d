/** Parameters of the FP-Mamba-2 layer. Names are those of the authors' checkpoints. */
import { eagerly, type MapTree, nn, ones, random, type Tensor, type Tracer } from "@banach/autograd";
import type { Mixer, MixerParams } from "../mixers/mixer.ts";
import { CONV_KERNEL } from "./common.ts";
import { type FpMambaShape, type HiddenParams, hiddenParams } from "./fp-mamba-params.ts";
import { initStepBias } from "./mamba-params.ts";

/** D = expand * dModel inner channels, in heads of headDim; N = dState. Weights are [out, in]. */
export interface FpMamba2Params<T, M = unknown> extends HiddenParams<T> {
  /** [2D + 2N + heads, dModel]: the gate z, x, B, C, and dt before its bias and the softplus. */
  readonly in_proj: nn.LinearParams<T>;
  /** The short convolution of x, B and C, if the layer has one, [D + 2N]. */
  readonly conv1d?: nn.CausalConvParams<T>;
  /** Added to dt before the softplus, [heads]. */
  readonly dt_bias: T;
  /** A = -exp(A_log), [heads]. */
  readonly A_log: T;
  /** Weight of the skip connection, [heads]. */
  readonly D: T;
  readonly mixer: M;
  /** Of the RMS normalisation inside the loop, [D]. */
  readonly norm: nn.NormParams<T>;
  /** [dModel, D]. */
  readonly out_proj: nn.LinearParams<T>;
}

export interface FpMamba2Shape extends FpMambaShape {
  readonly heads: number;
}

/** A starts uniform in this range. */
const A_RANGE = [1, 16] as const;

/**
 * Linear weights U(-1/sqrt(in), 1/sqrt(in)), the output map divided by sqrt(depth); dt log-uniform in [1e-3, 1e-1] by its
 * bias; -A uniform in [1, 16], D = 1, convolutions U(-1/2, 1/2): T. Dao and A. Gu, arXiv 2405.21060, as in their code.
 */
export function initFpMamba2<K extends Tensor, M extends Mixer>(
  key: K,
  shape: FpMamba2Shape,
  mixer: M,
  depth: number,
): MapTree<FpMamba2Params<Tracer, MixerParams<M>>, Tracer, K> {
  const { dModel, channels, dState, heads, shortConv, dtype } = shape;
  const create = (k: Tracer): FpMamba2Params<Tracer> => {
    const [input, bias, decay, bc, z, own, output, conv] = random.split(k, 8);
    if (!input || !bias || !decay || !bc || !z || !own || !output || !conv) {
      throw new RangeError("split returned too few keys");
    }
    const linear = (from: Tracer, inFeatures: number, outFeatures: number): nn.LinearParams<Tracer> =>
      nn.linear.init(from, { inFeatures, outFeatures, bias: false, dtype });
    const convChannels = channels + 2 * dState;
    return {
      in_proj: linear(input, dModel, 2 * channels + 2 * dState + heads),
      ...(shortConv
        ? { conv1d: nn.causalConv.init(conv, { channels: convChannels, kernel: CONV_KERNEL, dtype }) }
        : {}),
      dt_bias: initStepBias(bias, heads, dtype),
      A_log: random.uniform(decay, [heads], { low: A_RANGE[0], high: A_RANGE[1], dtype }).log(),
      D: ones([heads], dtype),
      ...hiddenParams({ bc, z, mixer: own }, shape, mixer, heads),
      norm: nn.initNorm<Tracer>({ features: channels, dtype }),
      out_proj: { weight: linear(output, channels, dModel).weight.div(Math.sqrt(depth)) },
    };
  };
  return eagerly(create)(key) as MapTree<FpMamba2Params<Tracer, MixerParams<M>>, Tracer, K>;
}
