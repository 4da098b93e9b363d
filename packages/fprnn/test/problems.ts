/** Small problems with known behaviour, shared by the tests of solvers and adjoints. */
import { array, type HostTensor, random, type Tracer } from "@banach/autograd";
import { type CausalProblem, causalProblem, type Problem } from "../src/index.ts";

/** y = rate * y + theta, elementwise: the solution is theta / (1 - rate), the contraction rate is |rate|. */
export function scalarMap(rate: number): Problem<Tracer> {
  return { step: (y, theta) => y.mul(rate).add(theta) };
}

/** theta of [batch, time, channel] ones, and a start of the same shape. */
export function constantData(value: number, shape: readonly number[] = [2, 3, 4]): HostTensor {
  const size = shape.reduce((a, b) => a * b, 1);
  return array(new Float64Array(size).fill(value), { shape });
}

export interface RnnTheta<T = Tracer> {
  /** [batch, time, channel]. */
  readonly x: T;
  /** [channel, channel], from y_{t-1}. */
  readonly recurrent: T;
  /** [channel, channel], from y_t itself; zero makes a plain RNN. */
  readonly local: T;
  /** y before the first step, [batch, channel]; default 0. */
  readonly initial?: T;
}

const times = (y: Tracer, w: Tracer): Tracer => y.dotGeneral(w, { contracting: [[y.rank - 1], [1]] });

/** y_t = tanh(W y_{t-1} + V y_t + x_t): a nonlinear RNN whose step is itself a fixed point when V is not zero. */
export const rnn: CausalProblem<RnnTheta, Tracer> = causalProblem<
  RnnTheta,
  Tracer,
  Tracer,
  { input: Tracer; local: Tracer }
>(
  (y, { x, recurrent, local, initial }) => {
    const previous = y.shift(1, initial === undefined ? {} : { fill: initial.expandDims(1) });
    return times(previous, recurrent).add(times(y, local)).add(x).tanh();
  },
  {
    prepare: ({ x, initial = x.index(1, 0).zerosLike() }) => ({
      inputs: x.transpose([1, 0, 2]),
      state: initial,
      previous: initial,
    }),
    at: (x, _state, previous, { recurrent, local }) => ({ input: x.add(times(previous, recurrent)), local }),
    local: (y, { input, local }) => input.add(times(y, local)).tanh(),
    advance: (_state, solution, { input, local }) => {
      const y = input.add(times(solution, local)).tanh();
      return { y, state: y };
    },
    pieces: {
      theta: (inputs, _state, previous, { recurrent, local }) => ({
        x: inputs.transpose([1, 0, 2]),
        recurrent,
        local,
        initial: previous,
      }),
      stateAfter: (y) => y.index(1, -1),
    },
  },
);

export interface SlopeTheta<T = Tracer> {
  /** [batch, time, channel]. */
  readonly x: T;
  /** [channel]. */
  readonly slope: T;
}

/** y = slope * y + x at each step by itself: the solution is x / (1 - slope). */
export const slopes: CausalProblem<SlopeTheta, Tracer> = causalProblem<
  SlopeTheta,
  Tracer,
  Tracer,
  { x: Tracer; slope: Tracer }
>((y, { x, slope }) => y.mul(slope).add(x), {
  prepare: ({ x }) => {
    const none = x.index(1, 0).zerosLike();
    return { inputs: x.transpose([1, 0, 2]), state: none, previous: none };
  },
  at: (x, _state, _previous, { slope }) => ({ x, slope }),
  local: (y, { x, slope }) => y.mul(slope).add(x),
  advance: (state, solution, { x, slope }) => ({ y: solution.mul(slope).add(x), state }),
  pieces: {
    theta: (inputs, _state, _previous, { slope }) => ({ x: inputs.transpose([1, 0, 2]), slope }),
    stateAfter: (y) => y.index(1, -1).zerosLike(),
  },
});

/** Random theta for `rnn`, float64; `scale` bounds the contraction. */
export function rnnData(
  seed: bigint,
  scale: { recurrent: number; local: number },
  shape = [3, 5, 4],
): RnnTheta<HostTensor> {
  const [a, b, c] = random.split(random.key(seed), 3);
  const n = shape[2]!;
  const dtype = "float64" as const;
  const square = (k: HostTensor, s: number): HostTensor =>
    random.uniform(k, [n, n], { low: -s / n, high: s / n, dtype });
  return {
    x: random.normal(a!, shape, { dtype }),
    recurrent: square(b!, scale.recurrent),
    local: square(c!, scale.local),
  };
}

/** Largest absolute difference of two host tensors. */
export function distance(a: HostTensor, b: HostTensor): number {
  return Math.max(0, ...Array.from(a.data, (x, i) => Math.abs(x - b.data[i]!)));
}
