/** The fixed-point problem of the FP-Mamba layer, as a map on whole sequences and as a walk through time. */
import { nn, type Tracer, zeros } from "@banach/autograd";
import type { Mixer } from "../mixers/mixer.ts";
import { times } from "../mixers/projection.ts";
import { type CausalProblem, causalProblem } from "../problem.ts";
import { timeFirst } from "./common.ts";
import { readStates, scanStates } from "./selective-scan.ts";

/** What the map needs of each step and y does not change. */
export interface FpMambaInputs {
  /** [batch, time, D]. */
  readonly x: Tracer;
  /** Step sizes after the softplus, [batch, time, D]. */
  readonly dt: Tracer;
  /** The part of x in what y_{t-1} changes, side by side: the mixer's n projections, B and C, [batch, time, n + 2N]. */
  readonly projection: Tracer;
  /** silu(z), where the gate is inside the loop, [batch, time, D]. */
  readonly gate?: Tracer;
}

/** What the map needs and neither y nor the step changes. */
export interface FpMambaWeights {
  /** The one matrix that y_{t-1} meets, [n + 2N, D]; [2N, D] where the mixer does not depend on y. */
  readonly hidden: Tracer;
  /** The mixer's own. */
  readonly mixer: unknown;
  /** A, [N, D]. */
  readonly a: Tracer;
  /** Weight of the skip connection, [D]. */
  readonly skip: Tracer;
  /** Of the layer normalisation. */
  readonly norm: nn.NormParams<Tracer>;
}

export interface FpMambaTheta {
  readonly inputs: FpMambaInputs;
  readonly weights: FpMambaWeights;
  /** y [batch, D] and H [batch, N, D] before the first step; without an H it is 0. */
  readonly initial: { readonly y: Tracer; readonly h?: Tracer };
}

/** What y_{t-1} decides at each position: Q, and B and C [..., N]. */
interface Selection {
  readonly q: unknown;
  readonly b: Tracer;
  readonly c: Tracer;
}

/** What the map at one step needs, [batch, ...] but for the norm. */
interface Context extends Selection {
  readonly x: Tracer;
  readonly dt: Tracer;
  readonly gate?: Tracer;
  /** exp(dt A) H_{t-1}, [batch, N, D]. */
  readonly decayed: Tracer;
  /** What the step's output inherits, exp(dt A) H_{t-1} C, and the factor on its input, D + dt (B . C); [batch, D]. */
  readonly inherited: Tracer;
  readonly gain: Tracer;
  readonly norm: nn.NormParams<Tracer>;
}

export interface FpMambaMap {
  readonly mixer: Mixer;
  /** Whether B and C are normalised to length 1. */
  readonly bcNorm: boolean;
  readonly eps: number;
}

export interface FpMambaProblem {
  readonly problem: CausalProblem<FpMambaTheta, Tracer>;
  /** H after the last step, [batch, N, D], that belongs to a solution y [batch, time, D]. */
  readonly lastState: (y: Tracer, theta: FpMambaTheta) => Tracer;
}

/**
 * y = LayerNorm(scan(xt; dt, A, B, C) + D xt) with xt = Q(x - y) + y, where Q, B and C depend on y one step earlier; a gate
 * in the loop multiplies what is normalised. At one step, with v = C exp(dt A) H_{t-1} and s = D + dt (B . C), both
 * independent of y_t: y_t = LayerNorm(v + s (Q_t (x_t - y_t) + y_t)). Matrix state, arXiv 2503.10799.
 */
export function fpMambaProblem({ mixer, bcNorm, eps }: FpMambaMap): FpMambaProblem {
  const select = (projection: Tracer, previous: Tracer, weights: FpMambaWeights): Selection => {
    const parts = splitProjection(projection, previous, weights);
    const pair = parts.bc.reshape([...parts.bc.shape.slice(0, -1), 2, weights.a.dim(0)]);
    const bc = bcNorm ? nn.l2Normalize(pair, { eps }) : pair;
    return { q: mixer.at(parts.mixer, weights.mixer), b: bc.index(-2, 0), c: bc.index(-2, 1) };
  };
  const mix = (q: unknown, x: Tracer, y: Tracer): Tracer => mixer.apply(q, x.sub(y)).add(y);
  const normalise = (out: Tracer, gate: Tracer | undefined, norm: nn.NormParams<Tracer>): Tracer =>
    nn.layerNorm(gate === undefined ? out : out.mul(gate), { ...norm, eps });
  const finish = (mixed: Tracer, { inherited, gain, gate, norm }: Context): Tracer =>
    normalise(gain.mul(mixed).add(inherited), gate, norm);

  /** Everything but the normalisation, on whole sequences. */
  const scanned = (y: Tracer, { inputs, weights, initial }: FpMambaTheta): Record<"mixed" | "states" | "c", Tracer> => {
    const { x, dt, projection } = inputs;
    const { q, b, c } = select(projection, y.shift(1, { fill: initial.y.expandDims(1) }), weights);
    const mixed = mix(q, x, y);
    const start = initial.h === undefined ? {} : { initial: initial.h };
    return { mixed, c, states: scanStates({ u: mixed, dt, a: weights.a, b, ...start }) };
  };

  const lastState: FpMambaProblem["lastState"] = (y, theta) => scanned(y, theta).states.index(1, -1);
  const problem = causalProblem<FpMambaTheta, FpMambaInputs, Tracer, Context>(
    (y, theta) => {
      const { mixed, states, c } = scanned(y, theta);
      const out = readStates(states, c).add(mixed.mul(theta.weights.skip));
      return normalise(out, theta.inputs.gate, theta.weights.norm);
    },
    {
      prepare: ({ inputs, weights: { a }, initial }) => ({
        inputs: turned(inputs),
        state: initial.h ?? zeros([inputs.x.dim(0), ...a.shape], inputs.x.dtype),
        previous: initial.y,
      }),
      at: ({ x, dt, projection, gate }, state, previous, { weights }) => {
        const { q, b, c } = select(projection, previous, weights);
        const decayed = dt.expandDims(1).mul(weights.a).exp().mul(state);
        const gain = dt.mul(b.mul(c).sum({ axes: -1, keepDims: true })).add(weights.skip);
        const context = { q, b, c, x, dt, decayed, inherited: readStates(decayed, c), gain, norm: weights.norm };
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
  return { problem, lastState };
}

/** From batch first to time first, and back. */
const turned = ({ x, dt, projection, gate }: FpMambaInputs): FpMambaInputs => ({
  x: timeFirst(x),
  dt: timeFirst(dt),
  projection: timeFirst(projection),
  ...(gate === undefined ? {} : { gate: timeFirst(gate) }),
});

/** The mixer's projections and [B, C] at y_{t-1}: one product with y, whose result is added to the last columns. */
function splitProjection(
  projection: Tracer,
  previous: Tracer,
  { hidden, a }: FpMambaWeights,
): { readonly mixer: Tracer; readonly bc: Tracer } {
  const total = projection.dim(-1);
  const own = total - 2 * a.dim(0);
  const change = times(previous, hidden);
  if (hidden.dim(0) < total) {
    return { mixer: projection.sliceAxis(-1, 0, own), bc: projection.sliceAxis(-1, own, total).add(change) };
  }
  const changed = projection.add(change);
  return { mixer: changed.sliceAxis(-1, 0, own), bc: changed.sliceAxis(-1, own, total) };
}
