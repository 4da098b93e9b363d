/** The fixed-point problem of the FP-RNN layer, as a map on whole sequences and as a walk through time. */
import { concatenate, linearRecurrence, type Tracer } from "@banach/autograd";
import type { Mixer } from "../mixers/mixer.ts";
import { type CausalProblem, causalProblem } from "../problem.ts";

/** What the map needs and y does not change. */
export interface FpRnnTheta {
  /** [batch, time, ...] leaves. */
  readonly inputs: {
    /** b * x. */
    readonly drive: Tracer;
    /** The decay lambda in (0, 1). */
    readonly lambda: Tracer;
    /** The mixer's own. */
    readonly mixer: unknown;
  };
  readonly mixerWeights: unknown;
  /** y before the first step, [batch, channel]. */
  readonly initial: Tracer;
}

/** What the map at one step needs, all [batch, ...]. */
interface Context {
  readonly q: unknown;
  readonly drive: Tracer;
  /** lambda * y_{t-1}. */
  readonly inherited: Tracer;
  /** 1 - lambda. */
  readonly intake: Tracer;
}

/**
 * y = scan(lambda, (1 - lambda) (Q(b x - y) + y)), where Q depends on the input and on y one step earlier.
 * At one step: y_t = lambda y_{t-1} + (1 - lambda)(Q_t (b x - y_t) + y_t).
 */
export function fpRnnProblem(mixer: Mixer, mapTime: (tree: unknown) => unknown): CausalProblem<FpRnnTheta> {
  return causalProblem<FpRnnTheta, FpRnnTheta["inputs"], Tracer, Context>(
    (y, { inputs: { drive, lambda, mixer: inputs }, mixerWeights, initial }) => {
      const previous = y.shift(1, { fill: initial.expandDims(1) });
      const mixed = mixer.apply(mixer.at(inputs, mixerWeights, previous), drive.sub(y)).add(y);
      return linearRecurrence(lambda, startFrom(initial, lambda, intakeOf(lambda).mul(mixed)));
    },
    {
      prepare: ({ inputs, initial }) => ({
        inputs: mapTime(inputs) as FpRnnTheta["inputs"],
        state: initial,
        previous: initial,
      }),
      at: (input, state, previous, { mixerWeights }) => ({
        q: mixer.at(input.mixer, mixerWeights, previous),
        drive: input.drive,
        inherited: input.lambda.mul(state),
        intake: intakeOf(input.lambda),
      }),
      local: (y, { q, drive, inherited, intake }) => intake.mul(mixer.apply(q, drive.sub(y)).add(y)).add(inherited),
      advance: (_state, _solution, y) => y,
    },
  );
}

const intakeOf = (lambda: Tracer): Tracer => lambda.neg().add(1);

/** Adds lambda_0 * initial to the first step, so that a recurrence from zero starts from `initial`. */
function startFrom(initial: Tracer, lambda: Tracer, input: Tracer): Tracer {
  const first = input.sliceAxis(1, 0, 1).add(lambda.sliceAxis(1, 0, 1).mul(initial.expandDims(1)));
  return concatenate([first, input.sliceAxis(1, 1, input.dim(1))], 1);
}
