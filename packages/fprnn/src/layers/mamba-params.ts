/** Parameters and state of the Mamba layer, and what FP-Mamba's share with them. Names are those of the checkpoints. */
import { eagerly, iota, type MapTree, nn, ones, random, type Tensor, type Tracer, zeros } from "@banach/autograd";
import { requireTensor } from "../options.ts";
import { CONV_KERNEL, requireConvState } from "./common.ts";

/** D = expand * dModel inner channels, N = dState, R = ceil(dModel / 16). Weights are [out, in]. */
export interface MambaParams<T> {
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
  /** [dModel, D]. */
  readonly out_proj: nn.LinearParams<T>;
  /** The short convolution of x, if the layer has one, [D]. */
  readonly conv1d?: nn.CausalConvParams<T>;
}

/** Where a sequence has got to. */
export interface MambaState<T> {
  /** H after the last step, [batch, N, D]: transposed, so that neighbours in memory are channels. */
  readonly h: T;
  /** The last inputs of the convolution, [batch, 3, D]; of FP-Mamba-2, [batch, 3, D + 2N]. */
  readonly conv?: T;
}

export interface MambaShape {
  readonly dModel: number;
  /** Inner channels D. */
  readonly channels: number;
  /** N. */
  readonly dState: number;
  readonly shortConv: boolean;
  /** Channels of the short convolution, if there is one; default D. */
  readonly convChannels?: number;
  readonly dtype: random.RandomDType;
}

/** What draws each parameter that is drawn. */
export type MambaKeys = Readonly<Record<"input" | "select" | "step" | "bias" | "output" | "conv", Tracer>>;

/** Range and floor of the step sizes dt that a layer starts with. */
const DT_RANGE = [1e-3, 1e-1] as const;
const DT_FLOOR = 1e-4;

/**
 * Linear weights U(-1/sqrt(in), 1/sqrt(in)), the output map divided by sqrt(depth); dt log-uniform in [1e-3, 1e-1] by its
 * bias; A_log[c, n] = log n for n = 1 .. N, D = 1, convolutions U(-1/2, 1/2): A. Gu and T. Dao, "Mamba" (2023), as in
 * their code.
 */
export function initMamba<K extends Tensor>(
  key: K,
  shape: MambaShape,
  depth: number,
): MapTree<MambaParams<Tracer>, Tracer, K> {
  const create = (k: Tracer): MambaParams<Tracer> => {
    const [input, select, step, bias, output, conv] = random.split(k, 6);
    if (!input || !select || !step || !bias || !output || !conv) throw new RangeError("split returned too few keys");
    return mambaParams({ input, select, step, bias, output, conv }, shape, depth);
  };
  return eagerly(create)(key) as MapTree<MambaParams<Tracer>, Tracer, K>;
}

/** Traced: the parameters that `initMamba` describes, each drawn from its own key. */
export function mambaParams(keys: MambaKeys, shape: MambaShape, depth: number): MambaParams<Tracer> {
  const { dModel, channels, dState, dtype } = shape;
  const rank = Math.ceil(dModel / 16);
  const linear = (key: Tracer, inFeatures: number, outFeatures: number): nn.LinearParams<Tracer> =>
    nn.linear.init(key, { inFeatures, outFeatures, bias: false, dtype });
  return {
    in_proj: linear(keys.input, dModel, 2 * channels),
    x_proj: linear(keys.select, channels, rank + 2 * dState),
    dt_proj: { ...linear(keys.step, rank, channels), bias: initStepBias(keys.bias, channels, dtype) },
    A_log: iota([channels, dState], 1).add(1).astype(dtype).log(),
    D: ones([channels], dtype),
    out_proj: { weight: linear(keys.output, channels, dModel).weight.div(Math.sqrt(depth)) },
    ...(shape.shortConv ? { conv1d: nn.causalConv.init(keys.conv, { channels, kernel: CONV_KERNEL, dtype }) } : {}),
  };
}

/** The bias b with softplus(b) = dt, b = dt + log(-expm1(-dt)), for a dt drawn log-uniformly; [channels]. */
export function initStepBias(key: Tracer, channels: number, dtype: random.RandomDType): Tracer {
  const [low, high] = [Math.log(DT_RANGE[0]), Math.log(DT_RANGE[1])];
  const dt = random.uniform(key, [channels], { low, high, dtype }).exp().maximum(DT_FLOOR);
  return dt.add(dt.neg().expm1().neg().log());
}

/** Traced: the state before the first step. */
export function initialMambaState(
  { channels, dState, shortConv, convChannels = channels, dtype }: MambaShape,
  batch: number,
): MambaState<Tracer> {
  const h = zeros([batch, dState, channels], dtype);
  return shortConv ? { h, conv: zeros([batch, CONV_KERNEL - 1, convChannels], dtype) } : { h };
}

/** Throws ShapeError, naming the layer and the part, unless a carried state fits the sequences that go on from it. */
export function requireMambaState(layer: string, state: MambaState<Tracer>, batch: number, shape: MambaShape): void {
  const { channels, dState, shortConv, convChannels = channels, dtype } = shape;
  requireTensor(`${layer}: state.h`, state.h, [batch, dState, channels], dtype);
  requireConvState(layer, state.conv !== undefined, shortConv);
  if (state.conv !== undefined) {
    requireTensor(`${layer}: state.conv`, state.conv, [batch, CONV_KERNEL - 1, convChannels], dtype);
  }
}
