/** The course of a solve: the residual at each iteration, kept as a value of the loop where a solver was asked for it. */
import { ArgumentError, full, iota, type Tracer, where } from "@banach/autograd";

/**
 * What to keep of the residuals [batch, time] of each iteration. `true`: one per sequence, the largest over time;
 * "time": one per step, the largest over the batch, which shows how far into the sequences the solution has got.
 */
export type TraceOption = boolean | "time";

/** Stands for an iteration that was not made: a residual is never negative. */
export const NOT_MADE = -1;

/** In the carry of a loop whose rows are sequences, so that those that have finished keep theirs. */
export interface TraceCarry {
  /** [batch, iteration], or [batch, iteration, time]. */
  readonly values: Tracer;
  /** int32[batch]: iterations so far. */
  readonly made: Tracer;
}

/** Throws ArgumentError, naming the solver, unless the option is one. */
export function requireTrace(name: string, trace: TraceOption): void {
  const valid: readonly unknown[] = [true, false, "time"];
  if (!valid.includes(trace)) {
    throw new ArgumentError(`${name}: trace must be true, false or "time", got ${String(trace)}`);
  }
}

/** An empty trace for iterates like y [batch, time, channel]; undefined where none is wanted. */
export function startTrace(trace: TraceOption, y: Tracer, maxSteps: number): TraceCarry | undefined {
  if (trace === false) return undefined;
  const [batch, time] = [y.dim(0), y.dim(1)];
  const shape = trace === "time" ? [batch, maxSteps, time] : [batch, maxSteps];
  return { values: full(shape, NOT_MADE, y.dtype), made: full([batch], 0, "int32") };
}

/** Adds an iteration's residuals, [batch, time] or [batch]: a trace per sequence keeps the largest over time. */
export function record({ values, made }: TraceCarry, residuals: Tracer): TraceCarry {
  const perTime = values.rank === 3;
  const row = perTime || residuals.rank === 1 ? residuals : residuals.max({ axes: 1 });
  const places = iota([values.dim(0), values.dim(1)], 1).equal(made.expandDims(1));
  return {
    values: where(perTime ? places.expandDims(2) : places, row.expandDims(1), values),
    made: made.add(1),
  };
}

/** [iteration, batch], or [iteration, time]: the largest over the batch. */
export function finishTrace({ values }: TraceCarry): Tracer {
  return values.rank === 3 ? values.max({ axes: 0 }) : values.transpose([1, 0]);
}
