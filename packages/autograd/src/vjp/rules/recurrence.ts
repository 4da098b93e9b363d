/** Vector-Jacobian product of the linear recurrence: itself, run the other way. */
import { mul } from "../../ops/elementwise.ts";
import { sliceAxis } from "../../ops/movement.ts";
import { emit1 } from "../../trace/builder.ts";
import type { Tracer } from "../../trace/tracer.ts";
import type { BackwardRule } from "../rule.ts";

/** Moves every step by one towards later (or earlier) times and fills with zeros: x[t-1], or x[t+1]. */
function neighbour(x: Tracer, axis: number, towards: "later" | "earlier"): Tracer {
  const size = x.dim(axis);
  if (size === 0) return x;
  const kept = towards === "later" ? sliceAxis(x, axis, 0, size - 1) : sliceAxis(x, axis, 1, size);
  const amount = x.shape.map((_, i) => (i === axis ? 1 : 0));
  const none = x.shape.map(() => 0);
  return emit1("pad", [kept], {
    low: towards === "later" ? amount : none,
    high: towards === "later" ? none : amount,
    interior: none,
  });
}

/** With h_t = a_t h_{t-1} + b_t: g_t = dh_t + a_{t+1} g_{t+1}, db_t = g_t, da_t = g_t h_{t-1}. */
export const linear_recurrence: BackwardRule<"linear_recurrence"> = (
  [dh],
  { inputs: [a], outputs: [h], params: { axis, reverse }, needs },
) => {
  if (!dh || !a || !h) return [null, null];
  const next = neighbour(a, axis, reverse ? "later" : "earlier");
  const g = emit1("linear_recurrence", [next, dh], { axis, reverse: !reverse });
  return [needs[0] === true ? mul(g, neighbour(h, axis, reverse ? "earlier" : "later")) : null, g];
};
