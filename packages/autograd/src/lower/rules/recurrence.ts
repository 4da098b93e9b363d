/** The linear recurrence: its coefficients and inputs are computed on the way. */
import { sizeOf } from "../../ir/tensor-type.ts";
import type { LowerRule } from "../rule.ts";
import { accumulated } from "./reduction.ts";

export const linear_recurrence: LowerRule<"linear_recurrence"> = (
  { inputs: [a, b], outputs: [out], params: { axis, reverse } },
  { block },
) => {
  if (a === undefined || b === undefined || out === undefined) return;
  const { dtype, shape } = out.type;
  const result = block.reading(out.type, block.pool.temporary(dtype, sizeOf(shape), "h"));
  const { buffer, access } = result.expression;
  block.steps.push({
    kind: "recur",
    shape,
    axis,
    reverse,
    a: block.get(a).expression,
    b: block.get(b).expression,
    stores: [{ buffer, access, value: accumulated(dtype) }],
  });
  block.set(out, result);
};
