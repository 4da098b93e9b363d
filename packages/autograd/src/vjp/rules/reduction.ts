/** Vector-Jacobian products of the reductions. */
import { astype } from "../../ops/lift.ts";
import { div, equal, mul } from "../../ops/elementwise.ts";
import { sum } from "../../ops/reduction.ts";
import { emit1 } from "../../trace/builder.ts";
import type { Tracer } from "../../trace/tracer.ts";
import type { BackwardRule } from "../rule.ts";

/** Repeats a reduced tensor along the axes that were reduced. */
function restore(reduced: Tracer, like: Tracer, axes: readonly number[]): Tracer {
  const dims = like.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  return emit1("broadcast_in_dim", [reduced], { shape: like.shape, dims });
}

export const reduce_sum: BackwardRule<"reduce_sum"> = ([g], { inputs: [x], params: { axes } }) => [
  g && x ? restore(g, x, axes) : null,
];

/** Elements that tie for the largest share the cotangent equally. */
export const reduce_max: BackwardRule<"reduce_max"> = ([g], { inputs: [x], outputs: [y], params: { axes } }) => {
  if (!g || !x || !y) return [null];
  const largest = astype(equal(x, restore(y, x, axes)), x.dtype);
  const ties = sum(largest, { axes });
  return [mul(largest, restore(div(g, ties), x, axes))];
};
