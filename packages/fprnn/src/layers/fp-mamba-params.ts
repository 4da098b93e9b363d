/** Parameters and state of the FP-Mamba layer. Names are those of the authors' checkpoints. */
import { eagerly, iota, type MapTree, nn, ones, random, type Tensor, type Tracer } from "@banach/autograd";
import { argumentSize, type Mixer, type MixerArgument, type MixerParams } from "../mixers/mixer.ts";
import { CONV_KERNEL } from "./common.ts";

/** D = expand * dModel inner channels, N = dState, R = ceil(dModel / 16). Weights are [out, in]. */
export interface FpMambaParams<T, M = unknown> {
  /** [2D, dModel]: the first D outputs are x, the rest the gate z. */
  readonly in_proj: nn.LinearParams<T>;
  /** [R + 2N, D]: the low-rank part of dt, then B, then C. */
  readonly x_proj: nn.LinearParams<T>;
  /** [D, R] with bias. */
  readonly dt_proj: nn.LinearParams<T>;
  /** A = -exp(A_log), [D, N]. */
  readonly A_log: T;
  /** Weight of the skip connection, [D]. */
  readonly D: T;
  /** [2N, D]: what y_{t-1} adds to B, then to C. */
  readonly bc_y_proj: nn.WeightNormLinearParams<T>;
  /** [D, D]: what y_{t-1} adds to the gate; absent where the gate is inside the loop. */
  readonly z_y_proj?: nn.WeightNormLinearParams<T>;
  readonly mixer: M;
  /** Of the layer normalisation inside the loop, with bias, [D]. */
  readonly out_norm: nn.NormParams<T>;
  /** [dModel, D]. */
  readonly out_proj: nn.LinearParams<T>;
  /** The short convolution of x, if the layer has one, [D]. */
  readonly conv1d?: nn.CausalConvParams<T>;
}

/** Where a sequence has got to. */
export interface FpMambaState<T> {
  /** y at the last step, [batch, D]. */
  readonly y: T;
  /** H after the last step, [batch, N, D]: transposed, so that neighbours in memory are channels. */
  readonly h: T;
  /** The last inputs of the convolution, [batch, 3, D]. */
  readonly conv?: T;
}

export interface FpMambaShape {
  readonly dModel: number;
  /** Inner channels D. */
  readonly channels: number;
  /** N. */
  readonly dState: number;
  readonly shortConv: boolean;
  readonly gluInLoop: boolean;
  readonly argument: MixerArgument;
  readonly dtype: random.RandomDType;
}

/** Range and floor of the step sizes dt that a layer starts with. */
const DT_RANGE = [1e-3, 1e-1] as const;
const DT_FLOOR = 1e-4;

/**
 * Linear weights U(-1/sqrt(in), 1/sqrt(in)), the output map divided by sqrt(depth); dt log-uniform in [1e-3, 1e-1] by its
 * bias; A_log[c, n] = log n for n = 1 .. N, D = 1, convolutions U(-1/2, 1/2): A. Gu and T. Dao, "Mamba" (2023), as in
 * their code.
 */
export function initFpMamba<K extends Tensor, M extends Mixer>(
  key: K,
  shape: FpMambaShape,
  mixer: M,
  depth: number,
): MapTree<FpMambaParams<Tracer, MixerParams<M>>, Tracer, K> {
  const { dModel, channels, dState, dtype } = shape;
  const rank = Math.ceil(dModel / 16);
  const create = (k: Tracer): FpMambaParams<Tracer> => {
    const [a, b, c, d, e, f, g, h, i] = random.split(k, 9);
    if (!a || !b || !c || !d || !e || !f || !g || !h || !i) throw new RangeError("split returned too few keys");
    const size = (inFeatures: number, outFeatures: number): nn.LinearInit => ({
      inFeatures,
      outFeatures,
      bias: false,
      dtype,
    });
    const counted = iota([channels, dState], 1).add(1).astype(dtype);
    return {
      in_proj: nn.linear.init(a, size(dModel, 2 * channels)),
      x_proj: nn.linear.init(b, size(channels, rank + 2 * dState)),
      dt_proj: { ...nn.linear.init(c, size(rank, channels)), bias: initStepBias(d, channels, dtype) },
      A_log: counted.log(),
      D: ones([channels], dtype),
      bc_y_proj: nn.weightNormLinear.init(e, size(channels, 2 * dState)),
      ...(shape.gluInLoop ? {} : { z_y_proj: nn.weightNormLinear.init(f, size(channels, channels)) }),
      mixer: mixer.init(g, { channels, argument: argumentSize(shape.argument, channels), dtype }),
      out_norm: nn.initNorm<Tracer>({ features: channels, bias: true, dtype }),
      out_proj: { weight: nn.linear.init(h, size(channels, dModel)).weight.div(Math.sqrt(depth)) },
      ...(shape.shortConv ? { conv1d: nn.causalConv.init(i, { channels, kernel: CONV_KERNEL, dtype }) } : {}),
    };
  };
  return eagerly(create)(key) as MapTree<FpMambaParams<Tracer, MixerParams<M>>, Tracer, K>;
}

/** The bias b with softplus(b) = dt, b = dt + log(-expm1(-dt)), for a dt drawn log-uniformly; [channels]. */
function initStepBias(key: Tracer, channels: number, dtype: random.RandomDType): Tracer {
  const [low, high] = [Math.log(DT_RANGE[0]), Math.log(DT_RANGE[1])];
  const dt = random.uniform(key, [channels], { low, high, dtype }).exp().maximum(DT_FLOOR);
  return dt.add(dt.neg().expm1().neg().log());
}
