/** Kernels of iota and random_bits. */
import { dimOf, sizeOf } from "../ir/tensor-type.ts";
import { fillThreefryBits } from "../random/threefry.ts";
import { type KernelRule, loop } from "./kernel.ts";

export const iota: KernelRule<"iota"> = ({ params: { type, axis } }) => {
  const n = dimOf(type.shape, axis);
  const inner = sizeOf(type.shape.slice(axis + 1));
  return loop((out) => {
    for (let start = 0, index = 0; start < out.length; start += inner) {
      out.fill(index, start, start + inner);
      index = index + 1 === n ? 0 : index + 1;
    }
  });
};

export const random_bits: KernelRule<"random_bits"> = () =>
  loop((out, key) => {
    fillThreefryBits(out as Uint32Array, key[0] as number, key[1] as number);
  });
