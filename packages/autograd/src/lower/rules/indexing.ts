/** Gather is an expression like any other; scatter_add is a kernel that adds to a copy in order. */
import { dimOf } from "../../ir/tensor-type.ts";
import { type Access, withStrides } from "../access.ts";
import { type Expression, mapAccesses } from "../expression.ts";
import type { LowerRule } from "../rule.ts";

/** The axis that is indexed gives way to the axes of the indices, along which the operand does not move. */
function around(access: Access, axis: number, indexRank: number): { readonly access: Access; readonly stride: number } {
  const strides = [
    ...access.strides.slice(0, axis),
    ...new Array<number>(indexRank).fill(0),
    ...access.strides.slice(axis + 1),
  ];
  return { access: withStrides(access, strides), stride: dimOf(access.strides, axis) };
}

/** The indices over the axes of the result: `before` axes to the left of theirs, `after` to the right. */
function spread(indices: Expression, before: number, after: number): Expression {
  const zeros = (count: number): number[] => new Array<number>(count).fill(0);
  const moved = mapAccesses(indices, (access) =>
    withStrides(access, [...zeros(before), ...access.strides, ...zeros(after)]),
  );
  if (moved === null) throw new RangeError("lower: a repeated access always exists");
  return moved;
}

export const gather: LowerRule<"gather"> = ({ inputs: [x, i], outputs: [out], params: { axis } }, { block }) => {
  if (x === undefined || i === undefined || out === undefined) return;
  const { buffer, access } = block.stored(block.get(x)).expression;
  const moved = around(access, axis, i.type.shape.length);
  const index = spread(block.get(i).expression, axis, x.type.shape.length - axis - 1);
  const limit = dimOf(x.type.shape, axis);
  block.define(out, { kind: "gather", dtype: out.type.dtype, buffer, ...moved, limit, index });
};

export const scatter_add: LowerRule<"scatter_add"> = (
  { inputs: [x, i, updates], outputs: [out], params: { axis } },
  { block },
) => {
  if (x === undefined || i === undefined || updates === undefined || out === undefined) return;
  const result = block.copied(block.get(x));
  const { buffer, access } = result.expression;
  const moved = around(access, axis, i.type.shape.length);
  block.steps.push({
    kind: "scatter",
    shape: updates.type.shape,
    buffer,
    ...moved,
    limit: dimOf(x.type.shape, axis),
    index: spread(block.get(i).expression, axis, x.type.shape.length - axis - 1),
    value: block.get(updates).expression,
  });
  block.set(out, result);
};
