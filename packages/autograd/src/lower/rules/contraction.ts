/** Contractions: operands are memory seen through any strides, which packing absorbs. */
import { freeAxes } from "../../ir/infer/contraction.ts";
import { dimOf, sizeOf } from "../../ir/tensor-type.ts";
import { withStrides } from "../access.ts";
import { type Read, readAt } from "../expression.ts";
import type { LowerRule } from "../rule.ts";
import { accumulated } from "./reduction.ts";

/** The access over batch, m, n, k: `axes` gives the operand's own axis for each of them, null where it has none. */
function operand(read: Read, axes: readonly (number | null)[]): Read {
  const strides = axes.map((axis) => (axis === null ? 0 : dimOf(read.access.strides, axis)));
  return readAt(read, withStrides(read.access, strides));
}

export const dot_general: LowerRule<"dot_general"> = ({ inputs: [a, b], outputs: [out], params }, { block }) => {
  if (a === undefined || b === undefined || out === undefined) return;
  const { batch, contracting } = params;
  const m = freeAxes(a.type.shape.length, batch[0], contracting[0]);
  const n = freeAxes(b.type.shape.length, batch[1], contracting[1]);
  const none = (axes: readonly number[]): null[] => axes.map(() => null);
  const result = block.reading(out.type, block.pool.temporary(out.type.dtype, sizeOf(out.type.shape), "c"));
  const { buffer, access } = result.expression;
  block.steps.push({
    kind: "contract",
    shape: out.type.shape,
    axes: { batch: batch[0].length, m: m.length, n: n.length },
    k: contracting[0].map((axis) => dimOf(a.type.shape, axis)),
    left: operand(block.stored(block.get(a)).expression, [...batch[0], ...m, ...none(n), ...contracting[0]]),
    right: operand(block.stored(block.get(b)).expression, [...batch[1], ...none(m), ...n, ...contracting[1]]),
    stores: [{ buffer, access, value: accumulated(out.type.dtype) }],
  });
  block.set(out, result);
};
