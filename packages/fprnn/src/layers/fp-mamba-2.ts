/** The FP-Mamba-2 layer: the scan of Mamba-2, one decay per head, as the cheap half of a fixed point (arXiv 2503.10799). */
import { ArgumentError, nn, ShapeError, type Tracer } from "@banach/autograd";
import { type SolverAndAdjoint, solverAndAdjoint } from "../fixed-point.ts";
import type { Mixer, MixerParams } from "../mixers/mixer.ts";
import { requireOneOf, requirePositiveInteger } from "../options.ts";
import {
  initially,
  oneStep,
  requireChannels,
  requireConvParams,
  requireInput,
  requireLayerOptions,
  shortConvolution,
} from "./common.ts";
import { type FpMamba2Params, type FpMamba2Shape, initFpMamba2 } from "./fp-mamba-2-params.ts";
import {
  type MatrixStateLayer,
  type MatrixStateOptions,
  openFpMamba,
  requireFpMambaState,
  requireHiddenParams,
  solveParts,
} from "./fp-mamba-layer.ts";
import { initialFpMambaState } from "./fp-mamba-params.ts";
import { fpMambaProblem, type StateScan } from "./fp-mamba-problem.ts";
import { dependenceOf } from "./hidden.ts";
import { chunkedScan, repeatChannels } from "./ssd.ts";

/** How often silu(z) is a factor: see `fpMamba2`. */
export type FpMamba2Gating = "once" | "authors";

interface FpMamba2ShapeOptions<M extends Mixer> extends MatrixStateOptions<M> {
  /** Channels of a head, which share dt, A and D; default 64, or D if that is less. Must divide D. */
  readonly headDim?: number;
  /** A short causal convolution of x, B and C, followed by silu; default false. */
  readonly shortConv?: boolean;
  /** Default "once", the sound variant: the gate is a factor once, in one of the two places. "authors": twice. */
  readonly gating?: FpMamba2Gating;
  /** Most steps in a chunk of the scan over whole sequences; default 32. It changes the speed, not the result. */
  readonly chunk?: number;
}

/** Sizes and mixer, and a solver and adjoint that fit each other, by default as of `fixedPoint`. */
export type FpMamba2Options<M extends Mixer> = FpMamba2ShapeOptions<M> & SolverAndAdjoint;

export type FpMamba2Layer<M extends Mixer> = MatrixStateLayer<FpMamba2Params<Tracer, MixerParams<M>>>;

/**
 * FP-Mamba with the structure of Mamba-2 (T. Dao and A. Gu, arXiv 2405.21060): heads of headDim channels with one dt and one
 * scalar A each, B and C [N] shared by all heads. The iterate is y = RMSNorm(scan(xt; dt, A, B, C) + D xt) with xt = Q(x - y)
 * + y, where B, C and Q, and dt if asked for, depend on y_{t-1}; on whole sequences the scan is the chunked one of
 * `chunkedScan`, step by step the plain recurrence. The state is H [batch, N, D], y and, with convolutions, their last inputs.
 *
 * Where silu(z) stands: with `gating: "once"` (default) it is silu(z_t + W y_{t-1}) on the fixed point, y itself being
 * ungated, or, with `gluInLoop`, silu(z) on what is normalised and nothing outside. With `gating: "authors"`, as the authors'
 * code of arXiv 2503.10799 has it, silu(z) is on what is normalised in any case, and then a second time: outside, as above,
 * or with `gluInLoop` inside, squared. Their scripts have a convergence quantile of 0.9: picard({ quantile: 0.9 }).
 *
 * As of FP-Mamba, no bound makes the map contract: several fixed points, or none that Picard finds, are possible, so watch
 * the status in `stats`. Throws ArgumentError for options outside their domain, such as a headDim that does not divide D;
 * `apply`, ShapeError for parameters, an input or a state of another layer.
 */
export function fpMamba2<M extends Mixer>(options: FpMamba2Options<M>): FpMamba2Layer<M> {
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
    gating = "once",
    chunk = 32,
    eps = 1e-5,
    dtype = "float32",
  } = options;
  const choice = solverAndAdjoint(options);
  const channels = requireChannels("fpMamba2", dModel, expand);
  const { headDim = Math.min(64, channels) } = options;
  requireLayerOptions("fpMamba2", argument, eps);
  requirePositiveInteger("fpMamba2: dState", dState);
  requirePositiveInteger("fpMamba2: chunk", chunk);
  requireOneOf("fpMamba2: gating", gating, ["once", "authors"]);
  const heads = headsOf(channels, headDim);
  const dependence = dependenceOf("fpMamba2", hidden, argument, { b: true });
  const convChannels = channels + 2 * dState;
  const shape: FpMamba2Shape = {
    ...{ dModel, channels, dState, heads, shortConv, convChannels },
    ...{ gluInLoop, dependence, dtype },
  };
  type Params = FpMamba2Params<Tracer, MixerParams<M>>;
  const parts = openFpMamba<Params>({
    map: fpMambaProblem({
      mixer,
      dependence,
      dState,
      steps: heads,
      bcNorm,
      eps,
      scan: headScan(headDim, chunk),
      normalise: (out, { weight }) => nn.rmsNorm(out, { weight, eps }),
    }),
    mixer,
    dependence,
    dState,
    select: (params, input, state) => {
      requireInput("fpMamba2", input, dModel);
      requireParams(params, shape);
      if (state !== undefined) requireFpMambaState("fpMamba2", state, input.dim(0), shape);
      const projected = nn.linear.apply(params.in_proj, input);
      const end = channels + convChannels;
      const { x: xbc, ...conv } = shortConvolution(params.conv1d, projected.sliceAxis(-1, channels, end), state?.conv);
      return {
        x: xbc.sliceAxis(-1, 0, channels),
        z: projected.sliceAxis(-1, 0, channels),
        raw: projected.sliceAxis(-1, end, end + heads).add(params.dt_bias),
        bc: xbc.sliceAxis(-1, channels, convChannels),
        ...conv,
      };
    },
    stepsFromY: (_params, fromY) => fromY,
    loopGate: loopGate(gating, gluInLoop),
    weights: (params) => ({
      a: params.A_log.exp().neg(),
      skip: repeatChannels(params.D, headDim),
      norm: params.norm,
    }),
  });
  const apply = solveParts(parts, choice);

  return {
    name: "fp-mamba-2",
    dModel,
    init: (key, { depth = 1 } = {}) => initFpMamba2(key, shape, mixer, depth),
    parts,
    apply,
    initialState: initially("fpMamba2", (batch) => initialFpMambaState(shape, batch)),
    step: oneStep("fpMamba2", dModel, apply),
  };
}

/** A decay for each head; on whole sequences by matrix products. */
function headScan(headDim: number, chunk: number): StateScan {
  return {
    run: (inputs) => {
      const { out, last } = chunkedScan({ ...inputs, chunk });
      return { out, last: () => last };
    },
    decay: (dt, a) => repeatChannels(dt.mul(a).exp(), headDim).expandDims(1),
    perChannel: (dt) => repeatChannels(dt, headDim),
  };
}

/** Throws ArgumentError unless headDim is a positive integer that divides the number of channels. */
function headsOf(channels: number, headDim: number): number {
  requirePositiveInteger("fpMamba2: headDim", headDim);
  if (channels % headDim === 0) return channels / headDim;
  throw new ArgumentError(
    `fpMamba2: headDim must divide expand * dModel, ${channels}; got ${headDim}, which leaves a head of ${channels % headDim}`,
  );
}

/** The factor on what is normalised, from z. */
function loopGate(gating: FpMamba2Gating, gluInLoop: boolean): ((z: Tracer) => Tracer) | null {
  if (gating === "once") return gluInLoop ? nn.silu : null;
  return gluInLoop ? (z) => nn.silu(z).square() : nn.silu;
}

/** Throws ShapeError, naming the part, unless the parameters are of a layer with these sizes. */
function requireParams(params: FpMamba2Params<Tracer>, shape: FpMamba2Shape): void {
  const { channels, dState, heads, shortConv } = shape;
  requireConvParams("fpMamba2", params, shortConv);
  requireHiddenParams("fpMamba2", params, shape, heads);
  const [given, wanted] = [params.in_proj.weight.dim(0), 2 * channels + 2 * dState + heads];
  // Sizes are taken from its columns one after the other: with others, parts would be mistaken for each other.
  if (given !== wanted || params.A_log.shape.join() !== String(heads)) {
    throw new ShapeError(
      `fpMamba2: params.in_proj must have ${wanted} outputs and params.A_log ${heads} heads, got ${given} and [${params.A_log.shape.join()}]; are headDim, dState and expand those that the parameters are of?`,
    );
  }
}
