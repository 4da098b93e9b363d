/** Kernel of linear_recurrence; every h is rounded to its dtype when it is stored, and the rounded h is carried on. */
import { dimOf, type HostArray, sizeOf } from "../ir/tensor-type.ts";
import { roundAllToHalf } from "../ir/half.ts";
import { type KernelRule, loop, typeAt } from "./kernel.ts";

export const linear_recurrence: KernelRule<"linear_recurrence"> = ({ inputs, params: { axis, reverse } }) => {
  const { dtype, shape } = typeAt(inputs, 0);
  const outer = sizeOf(shape.slice(0, axis));
  const length = dimOf(shape, axis);
  const inner = sizeOf(shape.slice(axis + 1));
  const half = dtype === "float16";
  return loop((out, a, b) => {
    for (let block = 0; block < outer; block++) {
      const first = (block * length + (reverse ? length - 1 : 0)) * inner;
      sweep(out, a, b, first, reverse ? -inner : inner, length, inner, half);
    }
  });
};

/** h_t = a_t h_{t-1} + b_t for rows of `size` elements, `length` of them, `stride` apart. */
function sweep(
  out: HostArray,
  a: HostArray,
  b: HostArray,
  first: number,
  stride: number,
  length: number,
  size: number,
  half: boolean,
): void {
  for (let t = 0, row = first; t < length; t++, row += stride) {
    for (let i = row; i < row + size; i++) {
      const h = t === 0 ? 0 : (out[i - stride] as number);
      out[i] = (a[i] as number) * h + (b[i] as number);
    }
    if (half) roundAllToHalf(out, row, row + size);
  }
}
