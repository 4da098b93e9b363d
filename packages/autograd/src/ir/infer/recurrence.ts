/** Result type of linear_recurrence. */
import type { InferRule } from "../infer.ts";
import { requireAxis, requireFloat, requireSameDType, requireSameShape, two } from "./check.ts";

export const linear_recurrence: InferRule<"linear_recurrence"> = (inputs, { axis }) => {
  const [a] = two("linear_recurrence", inputs);
  requireSameShape("linear_recurrence", inputs);
  requireSameDType("linear_recurrence", inputs);
  requireFloat("linear_recurrence", a);
  requireAxis("linear_recurrence", a, axis);
  return [a];
};
