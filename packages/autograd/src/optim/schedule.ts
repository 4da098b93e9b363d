/** Learning rates as functions of the step, computed inside the traced update. */
import { ArgumentError } from "../errors.ts";
import type { DType } from "../ir/tensor-type.ts";
import { add, cos, div, less, maximum, minimum, mul, sub, where } from "../ops/elementwise.ts";
import { astype } from "../ops/lift.ts";
import { literalTracer } from "../trace/builder.ts";
import type { Tracer } from "../trace/tracer.ts";

/**
 * The learning rate at a step: an int32 scalar, 0 for the first update. The result is a scalar of `dtype`, so that
 * float64 parameters get a rate that was never rounded to float32.
 */
export type Schedule = (step: Tracer, dtype: DType) => Tracer;

/** A rate, or a rate that depends on the step. */
export type LearningRate = number | Schedule;

export interface DecayOptions {
  /** The rate at step 0. */
  readonly peak: number;
  /** Steps until `end` is reached; it stays there. */
  readonly steps: number;
  /** Default 0. */
  readonly end?: number;
}

function requireRate(op: string, name: string, rate: number): void {
  if (!(Number.isFinite(rate) && rate >= 0)) {
    throw new ArgumentError(`${op}: ${name} must be finite and not negative, got ${rate}`);
  }
}

function requireSteps(op: string, steps: number, least: number): void {
  if (!Number.isSafeInteger(steps) || steps < least) {
    throw new ArgumentError(`${op}: steps must be an integer of at least ${least}, got ${steps}`);
  }
}

/** min(step / steps, 1). */
function progress(step: Tracer, steps: number, dtype: DType): Tracer {
  return minimum(div(astype(step, dtype), steps), 1);
}

/** The same rate at every step. Throws ArgumentError unless it is finite and not negative. */
export function constant(rate: number): Schedule {
  requireRate("constant", "the rate", rate);
  return (_step, dtype) => literalTracer(dtype, rate);
}

/** From peak to end along half a cosine: end + (peak - end) (1 + cos(pi step / steps)) / 2. */
export function cosine(options: DecayOptions): Schedule {
  const { peak, steps, end = 0 } = requireDecay("cosine", options);
  return (step, dtype) => {
    const share = mul(add(cos(mul(progress(step, steps, dtype), Math.PI)), 1), 0.5);
    return add(mul(share, peak - end), end);
  };
}

/** From peak to end along a straight line. */
export function linearDecay(options: DecayOptions): Schedule {
  const { peak, steps, end = 0 } = requireDecay("linearDecay", options);
  return (step, dtype) => add(mul(sub(1, progress(step, steps, dtype)), peak - end), end);
}

function requireDecay(op: string, options: DecayOptions): DecayOptions {
  requireRate(op, "peak", options.peak);
  requireRate(op, "end", options.end ?? 0);
  requireSteps(op, options.steps, 1);
  return options;
}

/**
 * Rises in a straight line from 0 at step 0 to the first rate of `then` at step `steps`, and goes on with `then`, which
 * counts its own steps from there. Throws ArgumentError unless steps is a non-negative integer.
 */
export function warmup(steps: number, then: LearningRate): Schedule {
  requireSteps("warmup", steps, 0);
  const schedule = toSchedule(then);
  return (step, dtype) => {
    if (steps === 0) return schedule(step, dtype);
    const rate = schedule(maximum(sub(step, steps), 0), dtype);
    return where(less(step, steps), mul(rate, progress(step, steps, dtype)), rate);
  };
}

/** A learning rate as a schedule. Throws ArgumentError for a number that is negative or not finite. */
export function toSchedule(rate: LearningRate): Schedule {
  return typeof rate === "number" ? constant(rate) : rate;
}
