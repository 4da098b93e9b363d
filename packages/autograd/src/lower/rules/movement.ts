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
  // Not `define`: the value behind it has been stored already if it is worth it.
  block.set(out, { type: out.type, expression: moved });
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

export const pad: LowerRule<"pad"> = ({ inputs: [x], outputs: [out], params: { low, interior } }, { block }) => {
  if (x === undefined || out === undefined) return;
  const result = newMemory(block, out);
  const zero: Value = { type: out.type, expression: { kind: "constant", dtype: out.type.dtype, value: 0 } };
  place(block, result, wholeOf(out.type.shape), zero);
  const steps = interior.map((n) => n + 1);
  place(block, result, sliced(wholeOf(out.type.shape), low, steps), block.get(x));
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
