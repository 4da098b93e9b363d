/** Parameters and state of the FP-Mamba layer. Names are those of the authors' checkpoints. */
import { eagerly, type MapTree, nn, random, type Tensor, type Tracer, zeros } from "@banach/autograd";
import { argumentSize, type Mixer, type MixerArgument, type MixerParams } from "../mixers/mixer.ts";
import { initialMambaState, type MambaParams, mambaParams, type MambaShape, type MambaState } from "./mamba-params.ts";

/** Those of Mamba, and what y_{t-1} does. */
export interface FpMambaParams<T, M = unknown> extends MambaParams<T> {
  /** [2N, D]: what y_{t-1} adds to B, then to C. */
  readonly bc_y_proj: nn.WeightNormLinearParams<T>;
  /** [D, D]: what y_{t-1} adds to the gate; absent where the gate is inside the loop. */
  readonly z_y_proj?: nn.WeightNormLinearParams<T>;
  readonly mixer: M;
  /** Of the layer normalisation inside the loop, with bias, [D]. */
  readonly out_norm: nn.NormParams<T>;
}

/** Where a sequence has got to. */
export interface FpMambaState<T> extends MambaState<T> {
  /** y at the last step, [batch, D]. */
  readonly y: T;
}

export interface FpMambaShape extends MambaShape {
  readonly gluInLoop: boolean;
  readonly argument: MixerArgument;
}

/** As Mamba starts (see `initMamba`); the rest as other linear maps, norms and the mixer do. */
export function initFpMamba<K extends Tensor, M extends Mixer>(
  key: K,
  shape: FpMambaShape,
  mixer: M,
  depth: number,
): MapTree<FpMambaParams<Tracer, MixerParams<M>>, Tracer, K> {
  const { channels, dState, dtype } = shape;
  const create = (k: Tracer): FpMambaParams<Tracer> => {
    const [input, select, step, bias, e, f, g, output, conv] = random.split(k, 9);
    if (!input || !select || !step || !bias || !e || !f || !g || !output || !conv) {
      throw new RangeError("split returned too few keys");
    }
    const size = (outFeatures: number): nn.LinearInit => ({ inFeatures: channels, outFeatures, bias: false, dtype });
    return {
      ...mambaParams({ input, select, step, bias, output, conv }, shape, depth),
      bc_y_proj: nn.weightNormLinear.init(e, size(2 * dState)),
      ...(shape.gluInLoop ? {} : { z_y_proj: nn.weightNormLinear.init(f, size(channels)) }),
      mixer: mixer.init(g, { channels, argument: argumentSize(shape.argument, channels), dtype }),
      out_norm: nn.initNorm<Tracer>({ features: channels, bias: true, dtype }),
    };
  };
  return eagerly(create)(key) as MapTree<FpMambaParams<Tracer, MixerParams<M>>, Tracer, K>;
}

/** Traced: the state before the first step. */
export function initialFpMambaState(shape: FpMambaShape, batch: number): FpMambaState<Tracer> {
  return { ...initialMambaState(shape, batch), y: zeros([batch, shape.channels], shape.dtype) };
}
