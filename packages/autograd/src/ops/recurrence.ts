/** The diagonal linear recurrence, the parallelisable heart of linear RNNs. */
import { DTypeError } from "../errors.ts";
import { formatType, isFloat } from "../ir/tensor-type.ts";
import { emit1 } from "../trace/builder.ts";
import type { Operand, Tracer } from "../trace/tracer.ts";
import { lift, normalizeAxis, unifyPair } from "./lift.ts";

export interface RecurrenceOptions {
  /** Time axis; default 1, as in [batch, time, channel]. */
  readonly axis?: number;
  /** Run from the last step to the first. */
  readonly reverse?: boolean;
}

/** h_t = a_t h_{t-1} + b_t with h_{-1} = 0. `a` and `b` broadcast; the result has their shape. */
export function linearRecurrence(a: Operand, b: Operand, options: RecurrenceOptions = {}): Tracer {
  const [x, y] = unifyPair("linearRecurrence", a, b);
  const axis = normalizeAxis("linearRecurrence", x, options.axis ?? 1);
  return emit1("linear_recurrence", [x, y], { axis, reverse: options.reverse ?? false });
}

/** Running sum along an axis. Throws DTypeError unless x is a float. */
export function cumsum(operand: Operand, options: RecurrenceOptions & { readonly axis: number }): Tracer {
  const x = lift("cumsum", operand);
  if (!isFloat(x.dtype)) {
    throw new DTypeError(`cumsum: needs a float operand, got ${formatType(x.type)}; convert it with astype`);
  }
  return linearRecurrence(1, x, options);
}
