/** The vector-state FP-RNN layer: a dense linear RNN as the fixed point of a diagonal one (arXiv 2503.10799). */
import { concatenate, nn, type random, ShapeError, type Tracer, zeros } from "@banach/autograd";
import { fixedPoint, type SolverAndAdjoint, solverAndAdjoint } from "../fixed-point.ts";
import type { Mixer, MixerArgument, MixerParams } from "../mixers/mixer.ts";
import { requireTensor } from "../options.ts";
import type { CausalProblem } from "../problem.ts";
import type { Tolerances } from "../solvers/index.ts";
import type { SolveStats } from "../stats.ts";
import {
  CONV_KERNEL,
  initially,
  oneStep,
  requireChannels,
  requireConvState,
  requireInput,
  requireLayerOptions,
} from "./common.ts";
import {
  type FpRnnConvState,
  type FpRnnParams,
  type FpRnnShape,
  type FpRnnState,
  initFpRnn,
  initialFpRnnState,
  inputsOf,
} from "./fp-rnn-params.ts";
import { type FpRnnPart, fpRnnProblem, type FpRnnTheta } from "./fp-rnn-problem.ts";
import { dependenceOf, type HiddenDependence, type SelectionPart } from "./hidden.ts";
import type { Layer, LayerResult } from "./layer.ts";

interface FpRnnShapeOptions<M extends Mixer> {
  /** Channels of the layer's input and output. */
  readonly dModel: number;
  /** Inner channels are expand * dModel; default 2. */
  readonly expand?: number;
  readonly mixer: M;
  /** What Q depends on; default "concatenated": [x_t, y_{t-1}]. */
  readonly argument?: MixerArgument;
  /** Which of lambda, Q, b and c depend on y_{t-1}; default Q and c. */
  readonly hidden?: HiddenDependence;
  /** Short causal convolutions before b, lambda, the mixer, c and x itself; default false. */
  readonly shortConv?: boolean;
  /** Added to the mean square of the output norm; default 1e-5. */
  readonly eps?: number;
  readonly dtype?: random.RandomDType;
}

/** Sizes and mixer, and a solver and adjoint that fit each other, by default as of `fixedPoint`. */
export type FpRnnOptions<M extends Mixer> = FpRnnShapeOptions<M> & SolverAndAdjoint;

/** A layer's fixed point laid open: for audits, other solvers, and looking at residuals. */
export interface FpRnnParts {
  readonly problem: CausalProblem<FpRnnTheta, Tracer>;
  readonly theta: FpRnnTheta;
  /** Zeros, [batch, time, D]. */
  readonly y0: Tracer;
  /**
   * What is computed once: x, the gate z, the mixer's input xm, b and lambda, each [batch, time, D]. Where b or lambda depends
   * on y, it is the part of x before the activation.
   */
  readonly prepared: {
    readonly x: Tracer;
    readonly z: Tracer;
    readonly xm: Tracer;
    readonly b: Tracer;
    readonly lambda: Tracer;
  };
  /** From the fixed point [batch, time, D] to the layer's output [batch, time, dModel] and the state to carry on. */
  readonly readout: (y: Tracer) => { readonly y: Tracer; readonly state: FpRnnState<Tracer> };
}

export interface FpRnnLayer<M extends Mixer> extends Layer<
  FpRnnParams<Tracer, MixerParams<M>>,
  FpRnnState<Tracer>,
  SolveStats
> {
  /** The same up to the solve, and from it on, as separate pieces. */
  parts(params: FpRnnParams<Tracer, MixerParams<M>>, x: Tracer, state?: FpRnnState<Tracer>): FpRnnParts;
}

/**
 * The FP-RNN of arXiv 2503.10799, vector state: lambda = sigmoid(W x + b), the input normalised by
 * (I - Lambda), the fixed point gated by c = silu(W_c [x_t, y_{t-1}]) and silu(z), then RMSNorm and an output map.
 * With gain 2 the map can leave the contraction region: watch the status in `stats`.
 */
export function fpRnn<M extends Mixer>(options: FpRnnOptions<M>): FpRnnLayer<M> {
  const {
    dModel,
    expand = 2,
    mixer,
    argument = "concatenated",
    hidden = {},
    shortConv = false,
    dtype = "float32",
    eps = 1e-5,
  } = options;
  const choice = solverAndAdjoint(options);
  const channels = requireChannels("fpRnn", dModel, expand);
  requireLayerOptions("fpRnn", argument, eps);
  const dependence = dependenceOf("fpRnn", hidden, argument, { b: false });
  const shape: FpRnnShape = { dModel, channels, shortConv, dependence, dtype };
  const { problem, selector } = fpRnnProblem(mixer, dependence, channels);

  const parts: FpRnnLayer<M>["parts"] = (params, input, state) => {
    requireInput("fpRnn", input, dModel);
    requireSelection(params, shape);
    requireConvs(params, shortConv);
    if (state !== undefined) requireState(state, input, shape);
    const [x, z] = nn.linear.apply(params.input_trans, input).split([channels, channels], -1);
    if (x === undefined || z === undefined) throw new ShapeError("fpRnn: the input map has too few outputs");
    const conv = convolve(params, x, state);
    const rawB = selected(params.b_proj, conv.b);
    const b = dependence.b ? rawB.input : nn.silu(rawB.input);
    const rawLambda = selected(params.lambda_proj, conv.lambda);
    const lambda = dependence.lambda ? rawLambda.input : rawLambda.input.logistic();
    const bound = mixer.bind(params.mixer, conv.mixer, dependence.argument);
    const each: Readonly<Record<FpRnnPart, SelectionPart>> = { mixer: bound, lambda: rawLambda, b: rawB };
    const { projection, hidden: fromY } = selector.join((part) => each[part]);
    const initial = state?.y ?? zeros([x.dim(0), channels], x.dtype);
    const theta: FpRnnTheta = {
      inputs: {
        drive: dependence.b ? conv.x : b.mul(conv.x),
        ...(dependence.lambda ? {} : { lambda }),
        projection,
      },
      mixer: { hidden: fromY, weights: bound.weights },
      initial,
    };
    return {
      problem,
      theta,
      y0: x.zerosLike(),
      prepared: { x: conv.x, z, xm: conv.mixer, b, lambda },
      readout: (y) => {
        const gate = readoutGate(params, conv.x, y, initial, state, dependence.c);
        const gated = nn.silu(z).mul(gate.c).mul(y);
        const normalised = nn.rmsNorm(gated, { weight: params.output_norm.weight, eps });
        const last = y.index(1, -1);
        const carried = conv.state && gate.state ? { y: last, conv: { ...conv.state, c: gate.state } } : { y: last };
        return { y: nn.linear.apply(params.output_trans, normalised), state: carried };
      },
    };
  };

  const apply = (
    params: FpRnnParams<Tracer, MixerParams<M>>,
    x: Tracer,
    state?: FpRnnState<Tracer>,
    tolerances: Partial<Tolerances> = {},
  ): LayerResult<FpRnnState<Tracer>, SolveStats> => {
    const { theta, y0, readout } = parts(params, x, state);
    const { y, stats } = fixedPoint(problem, y0, theta, { ...choice, ...tolerances });
    return { ...readout(y), stats };
  };

  return {
    name: "fp-rnn",
    dModel,
    init: (key) => initFpRnn(key, shape, mixer),
    parts,
    apply,
    initialState: initially("fpRnn", (batch) => initialFpRnnState(shape, batch)),
    step: oneStep("fpRnn", dModel, apply),
  };
}

/** Throws ShapeError, naming the part, unless a carried state fits the sequences that go on from it. */
function requireState(state: FpRnnState<Tracer>, input: Tracer, shape: FpRnnShape): void {
  const { channels, shortConv, dependence, dtype } = shape;
  const batch = input.dim(0);
  requireTensor("fpRnn: state.y", state.y, [batch, channels], dtype);
  requireConvState("fpRnn", state.conv !== undefined, shortConv);
  for (const [name, carried] of Object.entries(state.conv ?? {}) as [string, Tracer][]) {
    const size = inputsOf(name === "c" && dependence.c, channels);
    requireTensor(`fpRnn: state.conv.${name}`, carried, [batch, CONV_KERNEL - 1, size], dtype);
  }
}

interface Convolved {
  readonly x: Tracer;
  readonly b: Tracer;
  readonly mixer: Tracer;
  readonly lambda: Tracer;
  readonly state?: Omit<FpRnnConvState<Tracer>, "c">;
}

/** The four short convolutions of the projected input, each followed by silu; without them, the input itself. */
function convolve(params: FpRnnParams<Tracer>, x: Tracer, state: FpRnnState<Tracer> | undefined): Convolved {
  const { conv1d_x, conv1d_b, conv1d_mixer, conv1d_lambda } = params;
  if (!conv1d_x || !conv1d_b || !conv1d_mixer || !conv1d_lambda) return { x, b: x, mixer: x, lambda: x };
  const before = state?.conv;
  const none = zeros([x.dim(0), CONV_KERNEL - 1, x.dim(2)], x.dtype);
  const run = (conv: nn.CausalConvParams<Tracer>, carried: Tracer | undefined): nn.CausalConvResult => {
    const { y, state: next } = nn.causalConv.apply(conv, x, carried ?? none);
    return { y: nn.silu(y), state: next };
  };
  const [cx, cb] = [run(conv1d_x, before?.x), run(conv1d_b, before?.b)];
  const [cm, cl] = [run(conv1d_mixer, before?.mixer), run(conv1d_lambda, before?.lambda)];
  return {
    x: cx.y,
    b: cb.y,
    mixer: cm.y,
    lambda: cl.y,
    state: { x: cx.state, b: cb.state, mixer: cm.state, lambda: cl.state },
  };
}

/** Throws ShapeError, naming the map, unless the maps of [x_t, y_{t-1}] are those of a layer with this hidden dependence. */
function requireSelection(params: FpRnnParams<Tracer>, { channels, dependence }: FpRnnShape): void {
  for (const name of ["lambda", "b", "c"] as const) {
    const { weight } = params[`${name}_proj`];
    requireTensor(
      `fpRnn, hidden.${name} ${dependence[name]}: params.${name}_proj.weight`,
      weight,
      [channels, inputsOf(dependence[name], channels)],
      weight.dtype,
    );
  }
}

const CONVS = ["conv1d_x", "conv1d_b", "conv1d_mixer", "conv1d_lambda", "conv1d_c"] as const;

/** Throws ShapeError, naming them, unless the parameters of the short convolutions are all there, or none as the layer has none. */
function requireConvs(params: FpRnnParams<Tracer>, shortConv: boolean): void {
  const wrong = CONVS.filter((name) => (params[name] !== undefined) !== shortConv);
  if (wrong.length === 0) return;
  const names = wrong.map((name) => `params.${name}`).join(", ");
  throw new ShapeError(
    shortConv
      ? `fpRnn: no ${names}; a layer with short convolutions has all five, pass shortConv: false for one without`
      : `fpRnn: ${names} given, but the layer has no short convolutions; pass shortConv: true`,
  );
}

/** What x [batch, time, D] decides through a map of x_t or of [x_t, y_{t-1}], and the columns that y_{t-1} meets, if any. */
function selected({ weight, ...bias }: nn.LinearParams<Tracer>, x: Tracer): SelectionPart {
  const [channels, inputs] = [x.dim(2), weight.dim(1)];
  if (inputs === channels) return { input: nn.linear.apply({ weight, ...bias }, x), hidden: null };
  return {
    input: nn.linear.apply({ weight: weight.sliceAxis(1, 0, channels), ...bias }, x),
    hidden: weight.sliceAxis(1, channels, inputs),
  };
}

/**
 * c = silu(W_c [x_t, y_{t-1}]); with convolutions, silu(W_c silu(conv([x, y]))), y unshifted, as in the authors' code. Without
 * hidden dependence, the same of x alone.
 */
function readoutGate(
  params: FpRnnParams<Tracer>,
  x: Tracer,
  y: Tracer,
  initial: Tracer,
  state: FpRnnState<Tracer> | undefined,
  hidden: boolean,
): { readonly c: Tracer; readonly state?: Tracer } {
  const gate = (seen: Tracer): Tracer => nn.silu(nn.linear.apply(params.c_proj, seen));
  if (params.conv1d_c === undefined) {
    const previous = (): Tracer => y.shift(1, { fill: initial.expandDims(1) });
    return { c: gate(hidden ? concatenate([x, previous()], -1) : x) };
  }
  const seen = hidden ? concatenate([x, y], -1) : x;
  const before = state?.conv?.c ?? zeros([x.dim(0), CONV_KERNEL - 1, seen.dim(2)], x.dtype);
  const { y: convolved, state: next } = nn.causalConv.apply(params.conv1d_c, seen, before);
  return { c: gate(nn.silu(convolved)), state: next };
}
