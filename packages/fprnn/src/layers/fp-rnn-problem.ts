/** The fixed-point problem of the FP-RNN layer, as a map on whole sequences and as a walk through time. */
import { concatenate, linearRecurrence, nn, type Tracer } from "@banach/autograd";
import type { BoundMixer, Mixer } from "../mixers/mixer.ts";
import { solveWoodbury } from "../mixers/woodbury.ts";
import { type CausalProblem, causalProblem } from "../problem.ts";
import { timeFirst } from "./common.ts";
import { type Dependence, type PartLayout, type Selector, selector } from "./hidden.ts";

/** What the map needs and y does not change. */
export interface FpRnnTheta {
  /** [batch, time, ...] leaves. */
  readonly inputs: {
    /** b * x; x alone where b depends on y. */
    readonly drive: Tracer;
    /** The decay lambda in (0, 1); absent where it depends on y. */
    readonly lambda?: Tracer;
    /**
     * The part of x in what y_{t-1} may change, side by side: the projections that Q is computed from, [batch, time, n], and
     * lambda and b before their activations, D each, where they depend on y.
     */
    readonly projection: Tracer;
  };
  /** The mixer's weights, and the matrix that y_{t-1} meets, of lambda and b too where they depend on y. */
  readonly mixer: Pick<BoundMixer<unknown>, "hidden" | "weights">;
  /** y before the first step, [batch, channel]. */
  readonly initial: Tracer;
}

type Inputs = FpRnnTheta["inputs"];

/** What is selected at each position. */
interface Selection {
  readonly q: unknown;
  /** b * x. */
  readonly drive: Tracer;
  readonly lambda: Tracer;
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

export type FpRnnPart = "mixer" | "lambda" | "b";

export interface FpRnnProblem {
  readonly problem: CausalProblem<FpRnnTheta, Tracer>;
  /** How the projection in theta is made. */
  readonly selector: Selector<FpRnnPart>;
}

/**
 * y = scan(lambda, (1 - lambda) (Q(b x - y) + y)), where Q, and lambda and b if asked for, depend on the input and on y one
 * step earlier. At one step: y_t = lambda y_{t-1} + (1 - lambda)(Q_t (b x - y_t) + y_t).
 */
export function fpRnnProblem(mixer: Mixer, dependence: Dependence, channels: number): FpRnnProblem {
  const parts = selector(partsOf(dependence, channels));
  const select = (inputs: Inputs, { hidden, weights }: FpRnnTheta["mixer"], previous: Tracer): Selection => {
    const at = parts.at({ projection: inputs.projection, hidden }, previous);
    return {
      q: mixer.at(at("mixer"), weights),
      drive: dependence.b ? nn.silu(at("b")).mul(inputs.drive) : inputs.drive,
      lambda: inputs.lambda ?? at("lambda").logistic(),
    };
  };
  const local = (y: Tracer, { q, drive, inherited, intake }: Context): Tracer =>
    intake.mul(mixer.apply(q, drive.sub(y)).add(y)).add(inherited);
  const problem = causalProblem<FpRnnTheta, Inputs, Tracer, Context>(
    (y, { inputs, mixer: bound, initial }) => {
      const { q, drive, lambda } = select(inputs, bound, y.shift(1, { fill: initial.expandDims(1) }));
      const mixed = mixer.apply(q, drive.sub(y)).add(y);
      return linearRecurrence(lambda, startFrom(initial, lambda, intakeOf(lambda).mul(mixed)));
    },
    {
      prepare: ({ inputs, initial }) => ({ inputs: turned(inputs), state: initial, previous: initial }),
      at: (inputs, state, previous, { mixer: bound }) => {
        const { q, drive, lambda } = select(inputs, bound, previous);
        return { q, drive, inherited: lambda.mul(state), intake: intakeOf(lambda) };
      },
      local,
      advance: (_state, solution, context) => {
        const y = local(solution, context);
        return { y, state: y };
      },
      // (diag(lambda) + diag(1 - lambda) Q) y = lambda y_{t-1} + (1 - lambda) Q b x.
      direct: ({ q, drive, inherited, intake }) => {
        const factors = mixer.lowRank(q);
        if (factors === null) return null;
        const rhs = inherited.add(intake.mul(mixer.apply(q, drive)));
        return solveWoodbury(factors, { d: intakeOf(intake), e: intake, rhs });
      },
      // J = diag(1 - lambda) (I - Q).
      bound: ({ q, intake }) => mixer.bound(q)?.mul(intake.max({ axes: -1 })) ?? null,
      pieces: {
        theta: (inputs, _state, previous, { mixer: bound }) => ({
          inputs: turned(inputs),
          mixer: bound,
          initial: previous,
        }),
        stateAfter: (y) => y.index(1, -1),
      },
    },
  );
  return { problem, selector: parts };
}

function partsOf({ lambda, b }: Dependence, channels: number): PartLayout<Exclude<FpRnnPart, "mixer">> {
  return [
    "mixer",
    ...(lambda ? [{ name: "lambda", size: channels, hidden: true } as const] : []),
    ...(b ? [{ name: "b", size: channels, hidden: true } as const] : []),
  ];
}

/** From batch first to time first, and back. */
const turned = ({ drive, lambda, projection }: Inputs): Inputs => ({
  drive: timeFirst(drive),
  ...(lambda === undefined ? {} : { lambda: timeFirst(lambda) }),
  projection: timeFirst(projection),
});

const intakeOf = (lambda: Tracer): Tracer => lambda.neg().add(1);

/** Adds lambda_0 * initial to the first step, so that a recurrence from zero starts from `initial`. */
function startFrom(initial: Tracer, lambda: Tracer, input: Tracer): Tracer {
  const first = input.sliceAxis(1, 0, 1).add(lambda.sliceAxis(1, 0, 1).mul(initial.expandDims(1)));
  return concatenate([first, input.sliceAxis(1, 1, input.dim(1))], 1);
}
