/** Normalised exponentials along one axis, shifted by the largest element so that none overflows. */
import { stopGradient } from "../ops/control.ts";
import { add, div, exp, isFinite, log, sub, where } from "../ops/elementwise.ts";
import { lift, normalizeAxis } from "../ops/lift.ts";
import { squeeze } from "../ops/movement.ts";
import { max, sum } from "../ops/reduction.ts";
import type { Operand, Tracer } from "../trace/tracer.ts";

export interface SoftmaxOptions {
  /** The axis normalised over; default the last. It must not be empty. */
  readonly axis?: number;
}

export interface LogSumExpOptions extends SoftmaxOptions {
  /** Leave the axis behind with size 1. */
  readonly keepDims?: boolean;
}

/** What to subtract: the largest element, or 0 where that is infinite or NaN. A constant to differentiation. */
function offset(x: Tracer, axis: number): Tracer {
  const largest = stopGradient(max(x, { axes: axis, keepDims: true }));
  return where(isFinite(largest), largest, 0);
}

/** log(sum(exp(x))) along an axis. Elements may be -Infinity; if all are, so is the result. */
export function logSumExp(operand: Operand, options: LogSumExpOptions = {}): Tracer {
  const x = lift("logSumExp", operand);
  const axis = normalizeAxis("logSumExp", x, options.axis ?? -1);
  const largest = offset(x, axis);
  const result = add(log(sum(exp(sub(x, largest)), { axes: axis, keepDims: true })), largest);
  return options.keepDims === true ? result : squeeze(result, axis);
}

/** exp(x) / sum(exp(x)) along an axis. Elements of -Infinity get 0; if all are, the result is NaN. */
export function softmax(operand: Operand, options: SoftmaxOptions = {}): Tracer {
  const x = lift("softmax", operand);
  const axis = normalizeAxis("softmax", x, options.axis ?? -1);
  const weights = exp(sub(x, offset(x, axis)));
  return div(weights, sum(weights, { axes: axis, keepDims: true }));
}

/** The logarithm of softmax, x - logSumExp(x). */
export function logSoftmax(operand: Operand, options: SoftmaxOptions = {}): Tracer {
  const x = lift("logSoftmax", operand);
  return sub(x, logSumExp(x, { axis: options.axis ?? -1, keepDims: true }));
}
