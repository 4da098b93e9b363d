/** How backward solves tell how they ended: as the cotangent of a tensor of zeros that does nothing else, the probe. */
import { astype, minimum, stack, stopGradient, type Traced, type Tracer, valueAndGrad, zeros } from "@banach/autograd";
import { ADJOINT_STATUSES, type AdjointStats } from "./stats.ts";

type Float = Tracer["dtype"];

/** Makes the probes of the backward solves that are traced while it listens. */
type Listener = (shape: readonly number[], dtype: Float) => Tracer;

/** Whoever listens to the function that is being traced. */
let listener: Listener | null = null;

function listen<R>(to: Listener, f: () => R): R {
  const before = listener;
  listener = to;
  try {
    return f();
  } finally {
    listener = before;
  }
}

/** The order in which stats stand in a probe's cotangent. */
const FIELDS = ["status", "iterations", "residual", "gain"] as const satisfies readonly (keyof AdjointStats)[];

/**
 * A probe for backward solves of so many rows, [...rows, field]; null if nobody wants to know. `rows` is [batch], or
 * [time, batch] for a solve at each step.
 */
export function probeFor(rows: readonly number[], dtype: Float): Tracer | null {
  return listener === null ? null : listener([...rows, FIELDS.length], dtype);
}

/** The cotangent of a probe. */
export function encode(stats: AdjointStats, dtype: Float): Tracer {
  return stack(
    FIELDS.map((field) => stats[field].astype(dtype)),
    -1,
  );
}

/** The worst over time, where there was a solve at each step. A solve in a loop of the caller's adds up over its steps. */
function decode(cotangent: Tracer): AdjointStats {
  const worst = cotangent.rank === 3 ? cotangent.max({ axes: 0 }) : cotangent;
  const field = (name: (typeof FIELDS)[number]): Tracer => worst.index(-1, FIELDS.indexOf(name));
  return {
    status: astype(minimum(field("status"), ADJOINT_STATUSES.length - 1), "int32"),
    iterations: field("iterations").astype("int32"),
    residual: field("residual"),
    gain: field("gain"),
  };
}

export interface ValueGradAndAdjoint<X, V> {
  readonly value: V;
  readonly grad: Traced<X>;
  /** One per fixed point whose adjoint solves, in the order in which f meets them; zeros where no gradient came along. */
  readonly adjoint: readonly AdjointStats[];
}

/**
 * `valueAndGrad` that also says how the backward solves of `implicit` and `throughTime({ local: "implicit" })` ended:
 * (x, ...rest) -> { value, grad, adjoint }. Traces f twice, the first time to see how many there are; that leaves nothing
 * in the program. Throws what valueAndGrad throws.
 */
export function valueGradAndAdjoint<X, R extends readonly unknown[], V>(
  f: (x: Traced<X>, ...rest: R) => V,
): (x: X, ...rest: R) => ValueGradAndAdjoint<X, V> {
  return (x, ...rest) => {
    const silent: Tracer[] = [];
    const count: Listener = (shape, dtype) => {
      const probe = zeros(shape, dtype);
      silent.push(probe);
      return probe;
    };
    listen(count, () => f(stopGradient(x) as Traced<X>, ...rest));
    const run = valueAndGrad<WithProbes<X>, [], V>((traced) => {
      // The compiler does not see that a tree of tracers is traced member by member.
      const given = traced as unknown as WithProbes<Traced<X>>;
      let next = 0;
      const give: Listener = (shape, dtype) => given.probes[next++] ?? zeros(shape, dtype);
      return listen(give, () => f(given.x, ...rest));
    });
    // Those that counted may belong to the trace of a loop's body.
    const probes = silent.map(({ shape, dtype }) => zeros(shape, dtype));
    const { value, grad } = run({ x, probes });
    const cotangents = grad as unknown as WithProbes<Traced<X>>;
    return { value, grad: cotangents.x, adjoint: cotangents.probes.map(decode) };
  };
}

interface WithProbes<X> {
  readonly x: X;
  readonly probes: readonly Tracer[];
}
