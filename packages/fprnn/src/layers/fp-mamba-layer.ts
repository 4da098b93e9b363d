/** What the layers with a matrix state, FP-Mamba and FP-Mamba-2, do alike: everything but how steps are selected. */
import { nn, type random, ShapeError, type Tracer, zeros } from "@banach/autograd";
import { fixedPoint, type SolverAndAdjoint } from "../fixed-point.ts";
import type { Mixer, MixerArgument } from "../mixers/mixer.ts";
import { requireTensor } from "../options.ts";
import type { CausalProblem } from "../problem.ts";
import type { Tolerances } from "../solvers/index.ts";
import type { SolveStats } from "../stats.ts";
import type { Dependence, HiddenDependence, SelectionPart } from "./hidden.ts";
import { type FpMambaPart, type FpMambaProblem, type FpMambaTheta, type FpMambaWeights } from "./fp-mamba-problem.ts";
import type { FpMambaShape, FpMambaState, HiddenParams } from "./fp-mamba-params.ts";
import type { Layer, LayerResult } from "./layer.ts";
import { requireMambaState } from "./mamba-params.ts";

/** The options that both layers have. */
export interface MatrixStateOptions<M extends Mixer> {
  /** Channels of the layer's input and output. */
  readonly dModel: number;
  /** Inner channels D are expand * dModel; default 2. */
  readonly expand?: number;
  /** Size N of each channel's state; default 16. */
  readonly dState?: number;
  readonly mixer: M;
  /** What Q depends on; default "concatenated": [x_t, y_{t-1}]. For B, C and dt see `hidden`. */
  readonly argument?: MixerArgument;
  /** Which of lambda = exp(dt A), Q, B and C depend on y_{t-1}; default all but lambda. The output gate does in any case. */
  readonly hidden?: HiddenDependence;
  /** Whether B and C are normalised to length 1; default true. */
  readonly bcNorm?: boolean;
  /** Gates by silu(z) inside the loop, before the normalisation, instead of gating the output; default false. */
  readonly gluInLoop?: boolean;
  /** Of the normalisation in the loop, and the least length of B and C; default 1e-5. */
  readonly eps?: number;
  readonly dtype?: random.RandomDType;
}

export interface MatrixStateLayer<P> extends Layer<P, FpMambaState<Tracer>, SolveStats> {
  /** The same up to the solve, and from it on, as separate pieces. */
  parts(params: P, x: Tracer, state?: FpMambaState<Tracer>): FpMambaParts;
}

/** A layer's fixed point laid open: for audits, other solvers, and looking at residuals. */
export interface FpMambaParts {
  readonly problem: CausalProblem<FpMambaTheta, Tracer>;
  readonly theta: FpMambaTheta;
  /** Zeros, [batch, time, D]. */
  readonly y0: Tracer;
  /**
   * What is computed once: x and the gate z [batch, time, D], dt [batch, time, D], of FP-Mamba-2 [batch, time, heads], before
   * the softplus where y changes it, and the part of x in B and C [batch, time, N].
   */
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

/** What x decides, [batch, time, ...]. */
export interface Selected {
  readonly x: Tracer;
  readonly z: Tracer;
  /** Step sizes before the softplus. */
  readonly raw: Tracer;
  /** B and C side by side, [batch, time, 2N]. */
  readonly bc: Tracer;
  /** The last inputs of the convolution, if there is one. */
  readonly conv?: Tracer;
}

export interface OpenFpMamba<P> {
  readonly map: FpMambaProblem;
  readonly mixer: Mixer;
  readonly dependence: Dependence;
  readonly dState: number;
  readonly select: (params: P, input: Tracer, state: FpMambaState<Tracer> | undefined) => Selected;
  /** From the weight of dt_y_proj to the matrix whose product with y_{t-1} is added to the step sizes before the softplus. */
  readonly stepsFromY: (params: P, weight: Tracer) => Tracer;
  /** The factor on what is normalised inside the loop, from z; null for none. */
  readonly loopGate: ((z: Tracer) => Tracer) | null;
  readonly weights: (params: P) => Omit<FpMambaWeights, "hidden" | "mixer">;
}

/** Parameters that both layers have. */
export interface SharedParams extends HiddenParams<Tracer> {
  readonly mixer: unknown;
  readonly out_proj: nn.LinearParams<Tracer>;
}

/** Lays a layer open. The input and the state must have been checked by `select`. */
export function openFpMamba<P extends SharedParams>(
  layer: OpenFpMamba<P>,
): (params: P, input: Tracer, state?: FpMambaState<Tracer>) => FpMambaParts {
  const { map, mixer, dependence, dState, loopGate } = layer;
  return (params, input, state) => {
    const { x, z, raw, bc, conv } = layer.select(params, input, state);
    const dt = dependence.lambda ? raw : nn.softplus(raw);
    const bound = mixer.bind(params.mixer, x, dependence.argument);
    const half = (from: 0 | 1): Tracer => bc.sliceAxis(-1, from * dState, (from + 1) * dState);
    const bcFromY = weightOf(params.bc_y_proj);
    const stepsFromY = weightOf(params.dt_y_proj);
    const part = (name: FpMambaPart): SelectionPart => {
      switch (name) {
        case "mixer":
          return { input: bound.input, hidden: bound.hidden };
        case "dt":
          return { input: raw, hidden: stepsFromY && layer.stepsFromY(params, stepsFromY) };
        case "bc":
          return { input: bc, hidden: bcFromY };
        case "b":
          return { input: half(0), hidden: bcFromY };
        case "c":
          return { input: half(1), hidden: bcFromY };
        default:
          return name satisfies never;
      }
    };
    const { projection, hidden } = map.selector.join(part);
    const initial = state ?? { y: zeros([x.dim(0), x.dim(2)], x.dtype) };
    const theta: FpMambaTheta = {
      inputs: {
        x,
        ...(dependence.lambda ? {} : { dt }),
        projection,
        ...(loopGate === null ? {} : { gate: loopGate(z) }),
      },
      weights: { hidden, mixer: bound.weights, ...layer.weights(params) },
      initial,
    };
    return {
      problem: map.problem,
      theta,
      y0: x.zerosLike(),
      prepared: { x, z, dt, b: half(0), c: half(1) },
      readout: (y, h = map.lastState(y, theta)) => {
        const gated = params.z_y_proj === undefined ? y : outputGate(params.z_y_proj, z, y, initial.y).mul(y);
        const carried = { y: y.index(1, -1), h };
        return {
          y: nn.linear.apply(params.out_proj, gated),
          state: conv === undefined ? carried : { ...carried, conv },
        };
      },
    };
  };
}

/** `apply` of a layer that can be laid open. */
export function solveParts<P>(
  parts: (params: P, input: Tracer, state?: FpMambaState<Tracer>) => FpMambaParts,
  choice: SolverAndAdjoint,
): Layer<P, FpMambaState<Tracer>, SolveStats>["apply"] {
  return (
    params: P,
    x: Tracer,
    state?: FpMambaState<Tracer>,
    tolerances: Partial<Tolerances> = {},
  ): LayerResult<FpMambaState<Tracer>, SolveStats> => {
    const { problem, theta, y0, readout } = parts(params, x, state);
    const solved = fixedPoint(problem, y0, theta, { ...choice, ...tolerances });
    return { ...readout(solved.y, solved.state), stats: solved.stats };
  };
}

const weightOf = (map: nn.WeightNormLinearParams<Tracer> | undefined): Tracer | null =>
  map === undefined ? null : nn.weightNormLinear.weight(map);

/** Throws ShapeError, naming the layer, unless y_{t-1} has the maps of a layer with this hidden dependence, and no other. */
export function requireHiddenParams(
  layer: string,
  params: HiddenParams<Tracer>,
  { channels, dState, gluInLoop, dependence: { lambda, b, c } }: FpMambaShape,
  steps: number,
): void {
  const selected = (Number(b) + Number(c)) * dState;
  const rows = { bc_y_proj: selected, dt_y_proj: lambda ? steps : 0, z_y_proj: gluInLoop ? 0 : channels };
  for (const name of ["bc_y_proj", "dt_y_proj", "z_y_proj"] as const) {
    const [given, wanted] = [params[name]?.v.dim(0) ?? 0, rows[name]];
    if (given === wanted) continue;
    const what = (n: number): string => (n === 0 ? "no map" : `a map with ${n} outputs`);
    throw new ShapeError(
      `${layer}: params.${name} is ${what(given)} of y, but the layer has ${what(wanted)}; its hidden dependence and gluInLoop must be those that the parameters are of`,
    );
  }
}

/** Throws ShapeError, naming the layer and the part, unless a carried state fits the sequences that go on from it. */
export function requireFpMambaState(
  layer: string,
  state: FpMambaState<Tracer>,
  batch: number,
  shape: FpMambaShape,
): void {
  requireTensor(`${layer}: state.y`, state.y, [batch, shape.channels], shape.dtype);
  requireMambaState(layer, state, batch, shape);
}

/** silu(z_t + W y_{t-1}), [batch, time, D]. */
function outputGate(params: nn.WeightNormLinearParams<Tracer>, z: Tracer, y: Tracer, initial: Tracer): Tracer {
  return nn.silu(nn.weightNormLinear.apply(params, y.shift(1, { fill: initial.expandDims(1) })).add(z));
}
