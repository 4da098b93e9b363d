/** The fixed-point problem of the FP-RNN layer, as a map on whole sequences and as a walk through time. */
import { concatenate, linearRecurrence, type Tracer } from "@banach/autograd";
import type { BoundMixer, Mixer } from "../mixers/mixer.ts";
import { projectionAt } from "../mixers/projection.ts";
import { type CausalProblem, causalProblem } from "../problem.ts";
import { timeFirst } from "./common.ts";

/** What the map needs and y does not change. */
export interface FpRnnTheta {
  /** [batch, time, ...] leaves. */
  readonly inputs: {
    /** b * x. */
    readonly drive: Tracer;
    /** The decay lambda in (0, 1). */
    readonly lambda: Tracer;
    /** The part of x in the projections that Q is computed from, [batch, time, n]. */
    readonly projection: Tracer;
  };
  readonly mixer: Pick<BoundMixer<unknown>, "hidden" | "weights">;
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
export function fpRnnProblem(mixer: Mixer): CausalProblem<FpRnnTheta, Tracer> {
  const at = (projection: Tracer, { hidden, weights }: FpRnnTheta["mixer"], previous: Tracer): unknown =>
    mixer.at(projectionAt(projection, hidden, previous), weights);
  const local = (y: Tracer, { q, drive, inherited, intake }: Context): Tracer =>
    intake.mul(mixer.apply(q, drive.sub(y)).add(y)).add(inherited);
  return causalProblem<FpRnnTheta, FpRnnTheta["inputs"], Tracer, Context>(
    (y, { inputs: { drive, lambda, projection }, mixer: bound, initial }) => {
      const previous = y.shift(1, { fill: initial.expandDims(1) });
      const mixed = mixer.apply(at(projection, bound, previous), drive.sub(y)).add(y);
      return linearRecurrence(lambda, startFrom(initial, lambda, intakeOf(lambda).mul(mixed)));
    },
    {
      prepare: ({ inputs, initial }) => ({
        inputs: {
          drive: timeFirst(inputs.drive),
          lambda: timeFirst(inputs.lambda),
          projection: timeFirst(inputs.projection),
        },
        state: initial,
        previous: initial,
      }),
      at: (input, state, previous, { mixer: bound }) => ({
        q: at(input.projection, bound, previous),
        drive: input.drive,
        inherited: input.lambda.mul(state),
        intake: intakeOf(input.lambda),
      }),
      local,
      advance: (_state, solution, context) => {
        const y = local(solution, context);
        return { y, state: y };
      },
      // J = diag(1 - lambda) (I - Q).
      bound: ({ q, intake }) => mixer.bound(q)?.mul(intake.max({ axes: -1 })) ?? null,
      pieces: {
        theta: ({ drive, lambda, projection }, _state, previous, { mixer: bound }) => ({
          inputs: { drive: timeFirst(drive), lambda: timeFirst(lambda), projection: timeFirst(projection) },
          mixer: bound,
          initial: previous,
        }),
        stateAfter: (y) => y.index(1, -1),
      },
    },
  );
}

const intakeOf = (lambda: Tracer): Tracer => lambda.neg().add(1);

/** Adds lambda_0 * initial to the first step, so that a recurrence from zero starts from `initial`. */
function startFrom(initial: Tracer, lambda: Tracer, input: Tracer): Tracer {
  const first = input.sliceAxis(1, 0, 1).add(lambda.sliceAxis(1, 0, 1).mul(initial.expandDims(1)));
  return concatenate([first, input.sliceAxis(1, 1, input.dim(1))], 1);
}
