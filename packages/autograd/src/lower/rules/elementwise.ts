/** Elementwise primitives become nodes of an expression; nothing is computed until someone stores it. */
import type { EquationOf } from "../../ir/graph.ts";
import type { PrimitiveName } from "../../ir/primitives.ts";
import type { ScalarOperation } from "../expression.ts";
import type { LowerRule } from "../rule.ts";

/** The rule of an operation whose parameters say nothing more than its result's type. */
export function apply<P extends PrimitiveName & ScalarOperation>(operation: P): LowerRule<P> {
  return ({ inputs, outputs: [out] }: EquationOf<P>, { block }) => {
    if (out === undefined) return;
    const args = inputs.map((atom) => block.get(atom).expression);
    block.define(out, { kind: "apply", operation, dtype: out.type.dtype, args });
  };
}

export const compare: LowerRule<"compare"> = ({ inputs, outputs: [out], params: { direction } }, { block }) => {
  if (out === undefined) return;
  const args = inputs.map((atom) => block.get(atom).expression);
  block.define(out, { kind: "apply", operation: "compare", direction, dtype: "bool", args });
};
