/** The matrix-state FP-Mamba layer: Mamba's selective scan as the cheap half of a fixed point (arXiv 2503.10799). */
import { concatenate, nn, type random, type Tracer, zeros } from "@banach/autograd";
import { fixedPoint, type SolverAndAdjoint, solverAndAdjoint } from "../fixed-point.ts";
import type { Mixer, MixerArgument, MixerParams } from "../mixers/mixer.ts";
import { requirePositiveInteger, requireTensor } from "../options.ts";
import type { CausalProblem } from "../problem.ts";
import type { Tolerances } from "../solvers/index.ts";
import type { SolveStats } from "../stats.ts";
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
  type FpMambaParams,
  type FpMambaShape,
  type FpMambaState,
  initFpMamba,
  initialFpMambaState,
} from "./fp-mamba-params.ts";
import { fpMambaProblem, type FpMambaTheta } from "./fp-mamba-problem.ts";
import type { Layer, LayerResult } from "./layer.ts";
import { requireMambaState } from "./mamba-params.ts";
import { selectSteps } from "./selective-scan.ts";

interface FpMambaShapeOptions<M extends Mixer> {
  /** Channels of the layer's input and output. */
  readonly dModel: number;
  /** Inner channels are expand * dModel; default 2. */
  readonly expand?: number;
  /** Size N of each channel's state; default 16. */
  readonly dState?: number;
  readonly mixer: M;
  /** What Q depends on; default "concatenated": [x_t, y_{t-1}]. B, C and the gate depend on both in any case. */
  readonly argument?: MixerArgument;
  /** A short causal convolution of x, followed by silu; default false. */
  readonly shortConv?: boolean;
  /** Whether B and C are normalised to length 1; default true. */
  readonly bcNorm?: boolean;
  /** Multiplies by silu(z) inside the loop, before the normalisation, instead of gating the output; default false. */
  readonly gluInLoop?: boolean;
  /** Of the layer normalisation, and the least length of B and C; default 1e-5. */
  readonly eps?: number;
  readonly dtype?: random.RandomDType;
}

/** Sizes and mixer, and a solver and adjoint that fit each other: by default picard() and truncated(). */
export type FpMambaOptions<M extends Mixer> = FpMambaShapeOptions<M> & SolverAndAdjoint;

/** A layer's fixed point laid open: for audits, other solvers, and looking at residuals. */
export interface FpMambaParts {
  readonly problem: CausalProblem<FpMambaTheta, Tracer>;
  readonly theta: FpMambaTheta;
  /** Zeros, [batch, time, D]. */
  readonly y0: Tracer;
  /** What is computed once: x, the gate z and dt [batch, time, D], the part of x in B and C [batch, time, N]. */
  readonly prepared: {
    readonly x: Tracer;
    readonly z: Tracer;
    readonly dt: Tracer;
    readonly b: Tracer;
    readonly c: Tracer;
  };
  /**
   * From the fixed point [batch, time, D] to the layer's output [batch, time, dModel] and the state to carry on. `h`
   * [batch, N, D] is the last H where a sweep through time gave it; without it, H is computed from y.
   */
  readonly readout: (y: Tracer, h?: Tracer) => { readonly y: Tracer; readonly state: FpMambaState<Tracer> };
}

export interface FpMambaLayer<M extends Mixer> extends Layer<
  FpMambaParams<Tracer, MixerParams<M>>,
  FpMambaState<Tracer>,
  SolveStats
> {
  /** The same up to the solve, and from it on, as separate pieces. */
  parts(params: FpMambaParams<Tracer, MixerParams<M>>, x: Tracer, state?: FpMambaState<Tracer>): FpMambaParts;
}

/**
 * The FP-Mamba of arXiv 2503.10799, matrix state: B, C and the mixer depend on y_{t-1}, dt on x alone, and the iterate y is
 * the normalised output of the scan. The fixed point is gated by silu(z + W y_{t-1}) and mapped to the output. No bound
 * makes the map contract: several fixed points, or none that Picard finds, are possible, so watch the status in `stats`.
 */
export function fpMamba<M extends Mixer>(options: FpMambaOptions<M>): FpMambaLayer<M> {
  const {
    dModel,
    expand = 2,
    dState = 16,
    mixer,
    argument = "concatenated",
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
  const shape: FpMambaShape = { dModel, channels, dState, shortConv, gluInLoop, argument, dtype };
  const { problem, lastState } = fpMambaProblem({ mixer, bcNorm, eps });

  const parts: FpMambaLayer<M>["parts"] = (params, input, state) => {
    requireInput("fpMamba", input, dModel);
    requireConvParams("fpMamba", params, shortConv);
    if (state !== undefined) requireState(state, input, shape);
    const projected = nn.linear.apply(params.in_proj, input);
    const z = projected.sliceAxis(-1, channels, 2 * channels);
    const { x, conv } = shortConvolution(params.conv1d, projected.sliceAxis(-1, 0, channels), state?.conv);
    const { dt, bc } = selectSteps(params, x, dState);
    const bound = mixer.bind(params.mixer, x, argument);
    const fromY = nn.weightNormLinear.weight(params.bc_y_proj);
    const initial = state ?? { y: zeros([x.dim(0), channels], x.dtype) };
    const inputs = { x, dt, projection: concatenate([bound.input, bc], -1) };
    const theta: FpMambaTheta = {
      inputs: gluInLoop ? { ...inputs, gate: nn.silu(z) } : inputs,
      weights: {
        hidden: bound.hidden === null ? fromY : concatenate([bound.hidden, fromY], 0),
        mixer: bound.weights,
        a: params.A_log.exp().neg().transpose(),
        skip: params.D,
        norm: params.out_norm,
      },
      initial,
    };
    return {
      problem,
      theta,
      y0: x.zerosLike(),
      prepared: { x, z, dt, b: bc.sliceAxis(-1, 0, dState), c: bc.sliceAxis(-1, dState, 2 * dState) },
      readout: (y, h = lastState(y, theta)) => {
        const gated = params.z_y_proj === undefined ? y : outputGate(params.z_y_proj, z, y, initial.y).mul(y);
        const carried = { y: y.index(1, -1), h };
        return {
          y: nn.linear.apply(params.out_proj, gated),
          state: conv === undefined ? carried : { ...carried, conv },
        };
      },
    };
  };

  const apply = (
    params: FpMambaParams<Tracer, MixerParams<M>>,
    x: Tracer,
    state?: FpMambaState<Tracer>,
    tolerances: Partial<Tolerances> = {},
  ): LayerResult<FpMambaState<Tracer>, SolveStats> => {
    const { theta, y0, readout } = parts(params, x, state);
    const solved = fixedPoint(problem, y0, theta, { ...choice, ...tolerances });
    return { ...readout(solved.y, solved.state), stats: solved.stats };
  };

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

/** Throws ShapeError, naming the part, unless a carried state fits the sequences that go on from it. */
function requireState(state: FpMambaState<Tracer>, input: Tracer, shape: FpMambaShape): void {
  requireTensor("fpMamba: state.y", state.y, [input.dim(0), shape.channels], shape.dtype);
  requireMambaState("fpMamba", state, input.dim(0), shape);
}

/** silu(z_t + W y_{t-1}), [batch, time, D]. */
function outputGate(params: nn.WeightNormLinearParams<Tracer>, z: Tracer, y: Tracer, initial: Tracer): Tracer {
  return nn.silu(nn.weightNormLinear.apply(params, y.shift(1, { fill: initial.expandDims(1) })).add(z));
}
