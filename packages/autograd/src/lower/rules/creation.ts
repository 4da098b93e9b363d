/** Values made from nothing but their place. */
import { wholeOf } from "../access.ts";
import { type Expression, mapAccesses } from "../expression.ts";
import type { LowerRule } from "../rule.ts";

export const iota: LowerRule<"iota"> = ({ outputs: [out], params: { type, axis } }, { block }) => {
  if (out === undefined) return;
  const strides = type.shape.map((_, i) => (i === axis ? 1 : 0));
  block.define(out, { kind: "index", dtype: type.dtype, access: { offset: 0, strides, loops: [] } });
};

export const random_bits: LowerRule<"random_bits"> = ({ inputs: [key], outputs: [out] }, { block }) => {
  if (key === undefined || out === undefined) return;
  const { shape } = out.type;
  /** A word of the key, the same at every point. */
  const word = (i: number): Expression => {
    const moved = mapAccesses(block.get(key).expression, ({ offset, strides: [stride = 0], loops }) => ({
      offset: offset + i * stride,
      strides: shape.map(() => 0),
      loops,
    }));
    if (moved === null) throw new RangeError("lower: a repeated access always exists");
    return moved;
  };
  block.define(out, { kind: "bits", dtype: "uint32", key: [word(0), word(1)], counter: wholeOf(shape) });
};
