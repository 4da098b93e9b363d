/** The Mamba layer: a selective scan and a gate, no fixed point. The diagonal baseline of the fixed-point layers. */
import { nn, type random, type Tracer } from "@banach/autograd";
import { requirePositiveInteger } from "../options.ts";
import { initially, oneStep, requireChannels, requireConvParams, requireInput, shortConvolution } from "./common.ts";
import type { Layer, LayerResult } from "./layer.ts";
import {
  initialMambaState,
  initMamba,
  type MambaParams,
  type MambaShape,
  type MambaState,
  requireMambaState,
} from "./mamba-params.ts";
import { readStates, scanStates, selectSteps } from "./selective-scan.ts";

export interface MambaOptions {
  /** Channels of the layer's input and output. */
  readonly dModel: number;
  /** Inner channels are expand * dModel; default 2. */
  readonly expand?: number;
  /** Size N of each channel's state; default 16. */
  readonly dState?: number;
  /** A short causal convolution of x, followed by silu; default true. */
  readonly shortConv?: boolean;
  readonly dtype?: random.RandomDType;
}

export type MambaLayer = Layer<MambaParams<Tracer>, MambaState<Tracer>, null>;

/**
 * Mamba (A. Gu and T. Dao, arXiv 2312.00752): [x, z] = W_in u, x = silu(conv(x)), [r, B, C] = W_x x, dt = softplus(W_dt r +
 * bias), and out = W_out ((scan(x; dt, A, B, C) + D x) silu(z)). The recurrence is diagonal with decays between 0 and 1.
 */
export function mamba({
  dModel,
  expand = 2,
  dState = 16,
  shortConv = true,
  dtype = "float32",
}: MambaOptions): MambaLayer {
  const channels = requireChannels("mamba", dModel, expand);
  requirePositiveInteger("mamba: dState", dState);
  const shape: MambaShape = { dModel, channels, dState, shortConv, dtype };
  const apply = (
    params: MambaParams<Tracer>,
    input: Tracer,
    state?: MambaState<Tracer>,
  ): LayerResult<MambaState<Tracer>, null> => {
    requireInput("mamba", input, dModel);
    requireConvParams("mamba", params, shortConv);
    if (state !== undefined) requireMambaState("mamba", state, input.dim(0), shape);
    const projected = nn.linear.apply(params.in_proj, input);
    const z = projected.sliceAxis(-1, channels, 2 * channels);
    const { x, conv } = shortConvolution(params.conv1d, projected.sliceAxis(-1, 0, channels), state?.conv);
    const { raw, bc } = selectSteps(params, x, dState);
    const dt = nn.softplus(raw);
    const [b, c] = [bc.sliceAxis(-1, 0, dState), bc.sliceAxis(-1, dState, 2 * dState)];
    const a = params.A_log.exp().neg().transpose();
    const states = scanStates({ u: x, dt, a, b, ...(state === undefined ? {} : { initial: state.h }) });
    const out = readStates(states, c).add(x.mul(params.D)).mul(nn.silu(z));
    const h = states.index(1, -1);
    return {
      y: nn.linear.apply(params.out_proj, out),
      state: conv === undefined ? { h } : { h, conv },
      stats: null,
    };
  };
  return {
    name: "mamba",
    dModel,
    init: (key, { depth = 1 } = {}) => initMamba(key, shape, depth),
    apply,
    initialState: initially("mamba", (batch) => initialMambaState(shape, batch)),
    step: oneStep("mamba", dModel, apply),
  };
}
