/** Movement is arithmetic on accesses; only pad, concatenate and reshapes that strides cannot express copy anything. */
import type { Var } from "../../ir/graph.ts";
import { dimOf, type Shape, sizeOf } from "../../ir/tensor-type.ts";
import { type Access, broadcasted, reshaped, sliced, transposed, wholeOf } from "../access.ts";
import type { Block, Value } from "../block.ts";
import { costOf, type Expression, mapAccesses } from "../expression.ts";
import type { LowerRule } from "../rule.ts";

/** Repeating a value that costs at least this much computes it again for every copy: store it first. */
const WORTH_STORING = 4;

/** Defines `out` as the value seen through other accesses; through memory where an access cannot be expressed. */
function move(block: Block, out: Var | undefined, value: Value, f: (access: Access) => Access | null): void {
  if (out === undefined) return;
  const moved = mapAccesses(value.expression, f) ?? mapAccesses(block.copied(value).expression, f);
  if (moved === null) throw new RangeError("lower: contiguous memory can always be seen through other strides");
  // The value has one reader, this one; what is seen of it may have several that would compute it again.
  block.define(out, moved);
}

export const reshape: LowerRule<"reshape"> = ({ inputs: [x], outputs: [out], params: { shape } }, { block }) => {
  if (x !== undefined) move(block, out, block.get(x), (access) => reshaped(access, x.type.shape, shape));
};

export const transpose: LowerRule<"transpose"> = ({ inputs: [x], outputs: [out], params }, { block }) => {
  if (x !== undefined) move(block, out, block.get(x), (access) => transposed(access, params.permutation));
};

export const broadcast_in_dim: LowerRule<"broadcast_in_dim"> = (
  { inputs: [x], outputs: [out], params: { shape, dims } },
  { block },
) => {
  if (x === undefined) return;
  const value = block.get(x);
  const grows = sizeOf(shape) > sizeOf(x.type.shape);
  const source = grows && costOf(value.expression) >= WORTH_STORING ? block.stored(value) : value;
  move(block, out, source, (access) => broadcasted(access, x.type.shape, shape, dims));
};

export const slice: LowerRule<"slice"> = ({ inputs: [x], outputs: [out], params: { start, strides } }, { block }) => {
  if (x !== undefined) move(block, out, block.get(x), (access) => sliced(access, start, strides));
};

/** Writes a value into part of new memory. */
function place(block: Block, into: Value & { readonly expression: Expression }, at: Access, value: Value): void {
  if (into.expression.kind === "read") block.write(value.type.shape, into.expression.buffer, at, value.expression);
}

function newMemory(block: Block, out: Var): Value {
  const buffer = block.pool.temporary(out.type.dtype, sizeOf(out.type.shape), "t");
  return block.reading(out.type, buffer);
}

export const pad: LowerRule<"pad"> = ({ inputs: [x], outputs: [out], params: { low, high, interior } }, { block }) => {
  if (x === undefined || out === undefined) return;
  const result = newMemory(block, out);
  const { shape, dtype } = out.type;
  const whole = wholeOf(shape);
  const zeros = (at: Access, region: Shape): void => {
    place(block, result, at, { type: { dtype, shape: region }, expression: { kind: "constant", dtype, value: 0 } });
  };
  const padded = shape.flatMap((_, axis) => (dimOf(low, axis) > 0 || dimOf(high, axis) > 0 ? [axis] : []));
  const [axis] = padded;
  if (axis === undefined || padded.length > 1 || interior.some((n) => n > 0)) zeros(whole, shape);
  else {
    // Before and after, so that nothing is written twice.
    const size = dimOf(shape, axis);
    for (const [from, count] of [
      [0, dimOf(low, axis)],
      [size - dimOf(high, axis), dimOf(high, axis)],
    ] as const) {
      const at = (n: number): Shape => shape.map((_, i) => (i === axis ? n : 0));
      const ones = shape.map(() => 1);
      if (count > 0)
        zeros(
          sliced(whole, at(from), ones),
          shape.map((n, i) => (i === axis ? count : n)),
        );
    }
  }
  const steps = interior.map((n) => n + 1);
  place(block, result, sliced(whole, low, steps), block.get(x));
  block.set(out, result);
};

export const concatenate: LowerRule<"concatenate"> = ({ inputs, outputs: [out], params: { axis } }, { block }) => {
  if (out === undefined) return;
  const result = newMemory(block, out);
  const none: Shape = out.type.shape.map(() => 0);
  let start = 0;
  for (const atom of inputs) {
    const from = none.map((_, i) => (i === axis ? start : 0));
    const at = sliced(
      wholeOf(out.type.shape),
      from,
      none.map(() => 1),
    );
    place(block, result, at, block.get(atom));
    start += dimOf(atom.type.shape, axis);
  }
  block.set(out, result);
};
