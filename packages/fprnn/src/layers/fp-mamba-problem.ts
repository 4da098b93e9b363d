/** The fixed-point problem of the FP-Mamba layers, as a map on whole sequences and as a walk through time. */
import { concatenate, nn, type Tracer, zeros } from "@banach/autograd";
import type { Mixer } from "../mixers/mixer.ts";
import { type CausalProblem, causalProblem } from "../problem.ts";
import { timeFirst } from "./common.ts";
import { type Dependence, type PartLayout, type Selector, selector } from "./hidden.ts";
import { readStates } from "./selective-scan.ts";

/** What the map needs of each step and y does not change. */
export interface FpMambaInputs {
  /** [batch, time, D]. */
  readonly x: Tracer;
  /** Step sizes after the softplus, [batch, time, D], of FP-Mamba-2 [batch, time, heads]; absent where y changes them. */
  readonly dt?: Tracer;
  /**
   * The part of x in what y_{t-1} may change, side by side: the mixer's n projections, the step sizes before the softplus
   * where y changes them, B and C. What y does not change comes first. [batch, time, n + 2N] or wider.
   */
  readonly projection: Tracer;
  /** The factor on what is normalised, where a gate is inside the loop, [batch, time, D]. */
  readonly gate?: Tracer;
}

/** What the map needs and neither y nor the step changes. */
export interface FpMambaWeights {
  /** The one matrix that y_{t-1} meets, as many rows as there are columns of the projection that y changes, [.., D]. */
  readonly hidden: Tracer | null;
  /** The mixer's own. */
  readonly mixer: unknown;
  /** A, [N, D]; of FP-Mamba-2 [heads]. */
  readonly a: Tracer;
  /** Weight of the skip connection, [D]. */
  readonly skip: Tracer;
  /** Of the normalisation. */
  readonly norm: nn.NormParams<Tracer>;
}

export interface FpMambaTheta {
  readonly inputs: FpMambaInputs;
  readonly weights: FpMambaWeights;
  /** y [batch, D] and H [batch, N, D] before the first step; without an H it is 0. */
  readonly initial: { readonly y: Tracer; readonly h?: Tracer };
}

/** What is selected at each position: Q, dt, and B and C [..., N]. */
interface Selection {
  readonly q: unknown;
  readonly dt: Tracer;
  readonly b: Tracer;
  readonly c: Tracer;
}

/** What the map at one step needs, [batch, ...] but for the norm. */
interface Context {
  readonly q: unknown;
  readonly x: Tracer;
  /** dt of each channel, [batch, D], and B. */
  readonly dt: Tracer;
  readonly b: Tracer;
  readonly gate?: Tracer;
  /** exp(dt A) H_{t-1}, [batch, N, D]. */
  readonly decayed: Tracer;
  /** What the step's output inherits, exp(dt A) H_{t-1} C, and the factor on its input, D + dt (B . C); [batch, D]. */
  readonly inherited: Tracer;
  readonly gain: Tracer;
  readonly norm: nn.NormParams<Tracer>;
}

/** What a scan over whole sequences is given: u and `initial` as `scanStates`, dt, a, b and c as in theta. */
type ScanInputs = Readonly<Record<"u" | "dt" | "a" | "b" | "c", Tracer>> & { readonly initial?: Tracer };

/** How H is carried along: what FP-Mamba and FP-Mamba-2 differ in. */
export interface StateScan {
  /** H_t C_t at every step, [batch, time, D], and H after the last one, [batch, N, D]. */
  readonly run: (inputs: ScanInputs) => { readonly out: Tracer; readonly last: () => Tracer };
  /** exp(dt A) at one step, [batch, N or 1, D]. */
  readonly decay: (dt: Tracer, a: Tracer) => Tracer;
  /** dt as one number per channel, [batch, D]. */
  readonly perChannel: (dt: Tracer) => Tracer;
}

export interface FpMambaMap {
  readonly mixer: Mixer;
  readonly dependence: Dependence;
  readonly dState: number;
  /** Number of step sizes: channels, or heads. */
  readonly steps: number;
  /** Whether B and C are normalised to length 1. */
  readonly bcNorm: boolean;
  /** The least length of B and C. */
  readonly eps: number;
  readonly scan: StateScan;
  /** The normalisation inside the loop. */
  readonly normalise: (out: Tracer, params: nn.NormParams<Tracer>) => Tracer;
}

/** The parts that may depend on y_{t-1}: B and C together, unless just one of them does. */
export type FpMambaPart = "mixer" | "dt" | "bc" | "b" | "c";

export interface FpMambaProblem {
  readonly problem: CausalProblem<FpMambaTheta, Tracer>;
  /** How the projection in theta is made. */
  readonly selector: Selector<FpMambaPart>;
  /** H after the last step, [batch, N, D], that belongs to a solution y [batch, time, D]. */
  readonly lastState: (y: Tracer, theta: FpMambaTheta) => Tracer;
}

/**
 * y = norm(scan(xt; dt, A, B, C) + D xt) with xt = Q(x - y) + y, where Q, B, C and dt may depend on y one step earlier; a gate
 * in the loop multiplies what is normalised. At one step, with v = C exp(dt A) H_{t-1} and s = D + dt (B . C), both
 * independent of y_t: y_t = norm(v + s (Q_t (x_t - y_t) + y_t)). Matrix state, arXiv 2503.10799.
 */
export function fpMambaProblem(map: FpMambaMap): FpMambaProblem {
  const { mixer, dState, bcNorm, eps, scan } = map;
  const parts = selector(partsOf(map));
  const select = (inputs: FpMambaInputs, previous: Tracer, { hidden, mixer: own }: FpMambaWeights): Selection => {
    const at = parts.at({ projection: inputs.projection, hidden }, previous);
    const both = map.dependence.b === map.dependence.c ? at("bc") : concatenate([at("b"), at("c")], -1);
    const pair = both.reshape([...both.shape.slice(0, -1), 2, dState]);
    const bc = bcNorm ? nn.l2Normalize(pair, { eps }) : pair;
    const dt = inputs.dt ?? nn.softplus(at("dt"));
    return { q: mixer.at(at("mixer"), own), dt, b: bc.index(-2, 0), c: bc.index(-2, 1) };
  };
  const mix = (q: unknown, x: Tracer, y: Tracer): Tracer => mixer.apply(q, x.sub(y)).add(y);
  const normalise = (out: Tracer, gate: Tracer | undefined, norm: nn.NormParams<Tracer>): Tracer =>
    map.normalise(gate === undefined ? out : out.mul(gate), norm);
  const finish = (mixed: Tracer, { inherited, gain, gate, norm }: Context): Tracer =>
    normalise(gain.mul(mixed).add(inherited), gate, norm);

  /** Everything but the normalisation, on whole sequences. */
  const scanned = (
    y: Tracer,
    { inputs, weights, initial }: FpMambaTheta,
  ): ReturnType<StateScan["run"]> & { readonly mixed: Tracer } => {
    const { q, dt, b, c } = select(inputs, y.shift(1, { fill: initial.y.expandDims(1) }), weights);
    const mixed = mix(q, inputs.x, y);
    const start = initial.h === undefined ? {} : { initial: initial.h };
    return { mixed, ...scan.run({ u: mixed, dt, a: weights.a, b, c, ...start }) };
  };

  const lastState: FpMambaProblem["lastState"] = (y, theta) => scanned(y, theta).last();
  const problem = causalProblem<FpMambaTheta, FpMambaInputs, Tracer, Context>(
    (y, theta) => {
      const { mixed, out } = scanned(y, theta);
      return normalise(out.add(mixed.mul(theta.weights.skip)), theta.inputs.gate, theta.weights.norm);
    },
    {
      prepare: ({ inputs, initial }) => ({
        inputs: turned(inputs),
        state: initial.h ?? zeros([inputs.x.dim(0), dState, inputs.x.dim(2)], inputs.x.dtype),
        previous: initial.y,
      }),
      at: (inputs, state, previous, { weights }) => {
        const { q, dt: steps, b, c } = select(inputs, previous, weights);
        const { x, gate } = inputs;
        const decayed = scan.decay(steps, weights.a).mul(state);
        const dt = scan.perChannel(steps);
        const gain = dt.mul(b.mul(c).sum({ axes: -1, keepDims: true })).add(weights.skip);
        const context = { q, b, x, dt, decayed, inherited: readStates(decayed, c), gain, norm: weights.norm };
        return gate === undefined ? context : { ...context, gate };
      },
      local: (y, context) => finish(mix(context.q, context.x, y), context),
      advance: (_state, solution, context) => {
        const { q, x, dt, b, decayed } = context;
        const mixed = mix(q, x, solution);
        const state = decayed.add(dt.mul(mixed).expandDims(1).mul(b.expandDims(-1)));
        return { y: finish(mixed, context), state };
      },
      pieces: {
        theta: (inputs, h, y, { weights }) => ({ inputs: turned(inputs), weights, initial: { y, h } }),
        stateAfter: lastState,
      },
    },
  );
  return { problem, selector: parts, lastState };
}

function partsOf({ dependence, dState, steps }: FpMambaMap): PartLayout<Exclude<FpMambaPart, "mixer">> {
  const { lambda, b, c } = dependence;
  return [
    "mixer",
    ...(lambda ? [{ name: "dt", size: steps, hidden: true } as const] : []),
    ...(b === c
      ? [{ name: "bc", size: 2 * dState, hidden: b } as const]
      : [{ name: "b", size: dState, hidden: b } as const, { name: "c", size: dState, hidden: c } as const]),
  ];
}

/** From batch first to time first, and back. */
const turned = ({ x, dt, projection, gate }: FpMambaInputs): FpMambaInputs => ({
  x: timeFirst(x),
  ...(dt === undefined ? {} : { dt: timeFirst(dt) }),
  projection: timeFirst(projection),
  ...(gate === undefined ? {} : { gate: timeFirst(gate) }),
});
