/** The matrix-state FP-Mamba layer: Mamba's selective scan as the cheap half of a fixed point (arXiv 2503.10799). */
import { nn, type Tracer } from "@banach/autograd";
import { type SolverAndAdjoint, solverAndAdjoint } from "../fixed-point.ts";
import type { Mixer, MixerParams } from "../mixers/mixer.ts";
import { requirePositiveInteger } from "../options.ts";
import {
  initially,
  oneStep,
  requireChannels,
  requireConvParams,
  requireInput,
  requireLayerOptions,
  shortConvolution,
} from "./common.ts";
import {
  type MatrixStateLayer,
  type MatrixStateOptions,
  openFpMamba,
  requireFpMambaState,
  requireHiddenParams,
  solveParts,
} from "./fp-mamba-layer.ts";
import { type FpMambaParams, type FpMambaShape, initFpMamba, initialFpMambaState } from "./fp-mamba-params.ts";
import { fpMambaProblem, type StateScan } from "./fp-mamba-problem.ts";
import { dependenceOf } from "./hidden.ts";
import { readStates, scanStates, selectSteps } from "./selective-scan.ts";

interface FpMambaShapeOptions<M extends Mixer> extends MatrixStateOptions<M> {
  /** A short causal convolution of x, followed by silu; default false. */
  readonly shortConv?: boolean;
}

/** Sizes and mixer, and a solver and adjoint that fit each other, by default as of `fixedPoint`. */
export type FpMambaOptions<M extends Mixer> = FpMambaShapeOptions<M> & SolverAndAdjoint;

export type FpMambaLayer<M extends Mixer> = MatrixStateLayer<FpMambaParams<Tracer, MixerParams<M>>>;

/**
 * The FP-Mamba of arXiv 2503.10799, matrix state: B, C and the mixer depend on y_{t-1}, dt on x alone unless asked for, and
 * the iterate y is the normalised output of the scan. The fixed point is gated by silu(z + W y_{t-1}) and mapped to the
 * output. No bound makes the map contract: several fixed points, or none that Picard finds, are possible, so watch the
 * status in `stats`. Throws ArgumentError for options outside their domain; `apply`, ShapeError for parameters, an input or
 * a state of another layer.
 */
export function fpMamba<M extends Mixer>(options: FpMambaOptions<M>): FpMambaLayer<M> {
  const {
    dModel,
    expand = 2,
    dState = 16,
    mixer,
    argument = "concatenated",
    hidden = {},
    shortConv = false,
    bcNorm = true,
    gluInLoop = false,
    eps = 1e-5,
    dtype = "float32",
  } = options;
  const choice = solverAndAdjoint(options);
  const channels = requireChannels("fpMamba", dModel, expand);
  requireLayerOptions("fpMamba", argument, eps);
  requirePositiveInteger("fpMamba: dState", dState);
  const dependence = dependenceOf("fpMamba", hidden, argument, { b: true });
  const shape: FpMambaShape = { dModel, channels, dState, shortConv, gluInLoop, dependence, dtype };
  type Params = FpMambaParams<Tracer, MixerParams<M>>;
  const parts = openFpMamba<Params>({
    map: fpMambaProblem({
      mixer,
      dependence,
      dState,
      steps: channels,
      bcNorm,
      eps,
      scan: diagonalScan,
      normalise: (out, norm) => nn.layerNorm(out, { ...norm, eps }),
    }),
    mixer,
    dependence,
    dState,
    select: (params, input, state) => {
      requireInput("fpMamba", input, dModel);
      requireConvParams("fpMamba", params, shortConv);
      requireHiddenParams("fpMamba", params, shape, params.dt_proj.weight.dim(1));
      if (state !== undefined) requireFpMambaState("fpMamba", state, input.dim(0), shape);
      const projected = nn.linear.apply(params.in_proj, input);
      const z = projected.sliceAxis(-1, channels, 2 * channels);
      const convolved = shortConvolution(params.conv1d, projected.sliceAxis(-1, 0, channels), state?.conv);
      return { ...convolved, z, ...selectSteps(params, convolved.x, dState) };
    },
    // y_{t-1} adds to the low-rank part of dt, as x does.
    stepsFromY: ({ dt_proj }, fromY) => dt_proj.weight.matmul(fromY),
    loopGate: gluInLoop ? nn.silu : null,
    weights: (params) => ({ a: params.A_log.exp().neg().transpose(), skip: params.D, norm: params.out_norm }),
  });
  const apply = solveParts(parts, choice);

  return {
    name: "fp-mamba",
    dModel,
    init: (key, { depth = 1 } = {}) => initFpMamba(key, shape, mixer, depth),
    parts,
    apply,
    initialState: initially("fpMamba", (batch) => initialFpMambaState(shape, batch)),
    step: oneStep("fpMamba", dModel, apply),
  };
}

/** A decay for each entry of H. */
const diagonalScan: StateScan = {
  run: ({ c, ...inputs }) => {
    const states = scanStates(inputs);
    return { out: readStates(states, c), last: () => states.index(1, -1) };
  },
  decay: (dt, a) => dt.expandDims(1).mul(a).exp(),
  perChannel: (dt) => dt,
};
