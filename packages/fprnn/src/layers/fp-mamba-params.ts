/** Parameters and state of the FP-Mamba layer. Names are those of the authors' checkpoints. */
import { eagerly, type MapTree, nn, random, type Tensor, type Tracer, zeros } from "@banach/autograd";
import { argumentSize, type Mixer, type MixerParams } from "../mixers/mixer.ts";
import type { Dependence } from "./hidden.ts";
import { initialMambaState, type MambaParams, mambaParams, type MambaShape, type MambaState } from "./mamba-params.ts";

/** What y_{t-1} does in a layer with a matrix state. */
export interface HiddenParams<T> {
  /** [2N, D]: what y_{t-1} adds to B, then to C; [N, D] where it changes one of them only, absent where none. */
  readonly bc_y_proj?: nn.WeightNormLinearParams<T>;
  /** What y_{t-1} adds to what the step sizes are made of, where it does: [R, D], of FP-Mamba-2 [heads, D]. */
  readonly dt_y_proj?: nn.WeightNormLinearParams<T>;
  /** [D, D]: what y_{t-1} adds to the gate; absent where the gate is inside the loop. */
  readonly z_y_proj?: nn.WeightNormLinearParams<T>;
}

/** Those of Mamba, and what y_{t-1} does. */
export interface FpMambaParams<T, M = unknown> extends MambaParams<T>, HiddenParams<T> {
  readonly mixer: M;
  /** Of the layer normalisation inside the loop, with bias, [D]. */
  readonly out_norm: nn.NormParams<T>;
}

/** Where a sequence has got to. */
export interface FpMambaState<T> extends MambaState<T> {
  /** y at the last step, [batch, D]. */
  readonly y: T;
}

/** Sizes that both layers with a matrix state have. */
export interface FpMambaShape extends MambaShape {
  readonly gluInLoop: boolean;
  readonly dependence: Dependence;
}

/** As Mamba starts (see `initMamba`); the rest as other linear maps, norms and the mixer do. */
export function initFpMamba<K extends Tensor, M extends Mixer>(
  key: K,
  shape: FpMambaShape,
  mixer: M,
  depth: number,
): MapTree<FpMambaParams<Tracer, MixerParams<M>>, Tracer, K> {
  const { channels, dModel, dtype } = shape;
  const create = (k: Tracer): FpMambaParams<Tracer> => {
    const [input, select, step, bias, e, f, g, output, conv] = random.split(k, 9);
    if (!input || !select || !step || !bias || !e || !f || !g || !output || !conv) {
      throw new RangeError("split returned too few keys");
    }
    return {
      ...mambaParams({ input, select, step, bias, output, conv }, shape, depth),
      ...hiddenParams({ bc: e, z: f, mixer: g }, shape, mixer, Math.ceil(dModel / 16)),
      out_norm: nn.initNorm<Tracer>({ features: channels, bias: true, dtype }),
    };
  };
  return eagerly(create)(key) as MapTree<FpMambaParams<Tracer, MixerParams<M>>, Tracer, K>;
}

/** Traced: the mixer, and the maps of y_{t-1} that the layer has; that to the step sizes has `steps` outputs. */
export function hiddenParams(
  keys: Readonly<Record<"bc" | "z" | "mixer", Tracer>>,
  { channels, dState, gluInLoop, dependence, dtype }: FpMambaShape,
  mixer: Mixer,
  steps: number,
): HiddenParams<Tracer> & { readonly mixer: unknown } {
  const { lambda, b, c, argument } = dependence;
  const map = (key: Tracer, outFeatures: number): nn.WeightNormLinearParams<Tracer> =>
    nn.weightNormLinear.init(key, { inFeatures: channels, outFeatures, bias: false, dtype });
  const selected = (Number(b) + Number(c)) * dState;
  return {
    ...(selected === 0 ? {} : { bc_y_proj: map(keys.bc, selected) }),
    // A key of its own, folded in, so that the other parameters start as they do without this one.
    ...(lambda ? { dt_y_proj: map(random.foldIn(keys.bc, 1), steps) } : {}),
    ...(gluInLoop ? {} : { z_y_proj: map(keys.z, channels) }),
    mixer: mixer.init(keys.mixer, { channels, argument: argumentSize(argument, channels), dtype }),
  };
}

/** Traced: the state before the first step. */
export function initialFpMambaState(shape: FpMambaShape, batch: number): FpMambaState<Tracer> {
  return { ...initialMambaState(shape, batch), y: zeros([batch, shape.channels], shape.dtype) };
}
