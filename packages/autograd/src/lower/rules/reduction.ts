/** Reductions: the expression that is reduced is computed on the way, never stored. */
import type { EquationOf } from "../../ir/graph.ts";
import { type DType, dimOf, sizeOf } from "../../ir/tensor-type.ts";
import { transposed } from "../access.ts";
import { type Expression, mapAccesses } from "../expression.ts";
import type { Combine } from "../program.ts";
import type { LowerRule, Lowering } from "../rule.ts";

/** What a kernel has computed, stored as it is. */
export function accumulated(dtype: DType): Expression {
  return { kind: "accumulated", dtype };
}

function reduce(
  { inputs: [x], outputs: [out] }: Pick<EquationOf<"reduce_sum">, "inputs" | "outputs">,
  axes: readonly number[],
  combine: Combine,
  { block }: Lowering,
): void {
  if (x === undefined || out === undefined) return;
  const kept = x.type.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const order = [...kept, ...axes];
  const value = mapAccesses(block.get(x).expression, (access) => transposed(access, order));
  if (value === null) throw new RangeError("lower: a transposed access always exists");
  const result = block.reading(out.type, block.pool.temporary(out.type.dtype, sizeOf(out.type.shape), "r"));
  const { buffer, access } = result.expression;
  block.steps.push({
    kind: "reduce",
    shape: out.type.shape,
    reduced: axes.map((axis) => dimOf(x.type.shape, axis)),
    combine,
    value,
    stores: [{ buffer, access, value: accumulated(out.type.dtype) }],
  });
  block.set(out, result);
}

export const reduce_sum: LowerRule<"reduce_sum"> = (equation, lowering) => {
  reduce(equation, equation.params.axes, "sum", lowering);
};

export const reduce_max: LowerRule<"reduce_max"> = (equation, lowering) => {
  reduce(equation, equation.params.axes, "max", lowering);
};

export const argmax: LowerRule<"argmax"> = (equation, lowering) => {
  reduce(equation, [equation.params.axis], "argmax", lowering);
};
