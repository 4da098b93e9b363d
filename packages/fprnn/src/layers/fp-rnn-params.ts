/** Parameters and state of the FP-RNN layer. Names are those of the authors' checkpoints. */
import { eagerly, type MapTree, nn, random, type Tensor, type Tracer, zeros } from "@banach/autograd";
import { argumentSize, type Mixer, type MixerParams } from "../mixers/mixer.ts";
import { CONV_KERNEL } from "./common.ts";
import type { Dependence } from "./hidden.ts";

/** D = expand * dModel inner channels. Weights are [out, in]. */
export interface FpRnnParams<T, M = unknown> {
  /** [2D, dModel]: the first D outputs are x, the rest the gate z. */
  readonly input_trans: nn.LinearParams<T>;
  /** [D, D]; [D, 2D] of [x_t, y_{t-1}] where b depends on y. */
  readonly b_proj: nn.LinearParams<T>;
  /** [D, D] with bias; [D, 2D] of [x_t, y_{t-1}] where lambda depends on y. */
  readonly lambda_proj: nn.LinearParams<T>;
  /** [D, 2D] of [x_t, y_{t-1}]; [D, D] where c does not depend on y. */
  readonly c_proj: nn.LinearParams<T>;
  /** [dModel, D]. */
  readonly output_trans: nn.LinearParams<T>;
  /** [D]. */
  readonly output_norm: nn.NormParams<T>;
  readonly mixer: M;
  /** Short convolutions, if the layer has them: of x itself, b, the mixer's argument and lambda [D]; of [x, y] for c [2D], or of x. */
  readonly conv1d_x?: nn.CausalConvParams<T>;
  readonly conv1d_b?: nn.CausalConvParams<T>;
  readonly conv1d_mixer?: nn.CausalConvParams<T>;
  readonly conv1d_lambda?: nn.CausalConvParams<T>;
  readonly conv1d_c?: nn.CausalConvParams<T>;
}

/** The last inputs of each convolution, [batch, 3, D]; of c's, [batch, 3, 2D] where c depends on y. */
export interface FpRnnConvState<T> {
  readonly x: T;
  readonly b: T;
  readonly mixer: T;
  readonly lambda: T;
  readonly c: T;
}

/** Where a sequence has got to. */
export interface FpRnnState<T> {
  /** y at the last step, [batch, D]; it is the state of the recurrence too. */
  readonly y: T;
  readonly conv?: FpRnnConvState<T>;
}

export interface FpRnnShape {
  readonly dModel: number;
  /** Inner channels D. */
  readonly channels: number;
  readonly shortConv: boolean;
  readonly dependence: Dependence;
  readonly dtype: random.RandomDType;
}

/** Linear weights U(-1/sqrt(in), 1/sqrt(in)), biases 0, norms 1, convolutions U(-1/2, 1/2). */
export function initFpRnn<K extends Tensor, M extends Mixer>(
  key: K,
  shape: FpRnnShape,
  mixer: M,
): MapTree<FpRnnParams<Tracer, MixerParams<M>>, Tracer, K> {
  const { dModel, channels, dependence, dtype } = shape;
  const { lambda, argument } = dependence;
  const create = (k: Tracer): FpRnnParams<Tracer> => {
    const [a, b, c, d, e, f, ...convs] = random.split(k, 11);
    if (!a || !b || !c || !d || !e || !f) throw new RangeError("split returned fewer keys than asked for");
    const linear = (draw: Tracer, inFeatures: number, outFeatures: number, bias = false): nn.LinearParams<Tracer> =>
      nn.linear.init(draw, { inFeatures, outFeatures, bias, dtype });
    return {
      input_trans: linear(a, dModel, 2 * channels),
      b_proj: linear(b, inputsOf(dependence.b, channels), channels),
      lambda_proj: linear(c, inputsOf(lambda, channels), channels, true),
      c_proj: linear(d, inputsOf(dependence.c, channels), channels),
      output_trans: linear(e, channels, dModel),
      output_norm: nn.initNorm<Tracer>({ features: channels, dtype }),
      mixer: mixer.init(f, { channels, argument: argumentSize(argument, channels), dtype }),
      ...(shape.shortConv ? initConvs(convs, shape) : {}),
    };
  };
  return eagerly(create)(key) as MapTree<FpRnnParams<Tracer, MixerParams<M>>, Tracer, K>;
}

/** How many numbers a map is given: [x_t, y_{t-1}] if it is hidden-dependent, else x_t. */
export function inputsOf(hidden: boolean, channels: number): number {
  return hidden ? 2 * channels : channels;
}

function initConvs(
  keys: readonly Tracer[],
  { channels, dependence, dtype }: FpRnnShape,
): Pick<Required<FpRnnParams<Tracer>>, "conv1d_x" | "conv1d_b" | "conv1d_mixer" | "conv1d_lambda" | "conv1d_c"> {
  const conv = (i: number, size: number): nn.CausalConvParams<Tracer> => {
    const key = keys[i];
    if (key === undefined) throw new RangeError("split returned fewer keys than asked for");
    return nn.causalConv.init(key, { channels: size, kernel: CONV_KERNEL, dtype });
  };
  return {
    conv1d_x: conv(0, channels),
    conv1d_b: conv(1, channels),
    conv1d_mixer: conv(2, channels),
    conv1d_lambda: conv(3, channels),
    conv1d_c: conv(4, inputsOf(dependence.c, channels)),
  };
}

/** Traced: the state before the first step. */
export function initialFpRnnState(
  { channels, shortConv, dependence, dtype }: FpRnnShape,
  batch: number,
): FpRnnState<Tracer> {
  const y = zeros([batch, channels], dtype);
  if (!shortConv) return { y };
  const before = (size: number): Tracer => zeros([batch, CONV_KERNEL - 1, size], dtype);
  const one = before(channels);
  return { y, conv: { x: one, b: one, mixer: one, lambda: one, c: before(inputsOf(dependence.c, channels)) } };
}
