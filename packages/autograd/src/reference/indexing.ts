/** Kernels of gather and scatter_add: the operand is seen as [outer, n, inner], the indices as one list. */
import { dimOf, type HostArray, isFloat, sizeOf, type TensorType } from "../ir/tensor-type.ts";
import { type KernelRule, loop, typeAt } from "./kernel.ts";

function split({ shape }: TensorType, axis: number): { outer: number; n: number; inner: number } {
  return { outer: sizeOf(shape.slice(0, axis)), n: dimOf(shape, axis), inner: sizeOf(shape.slice(axis + 1)) };
}

export const gather: KernelRule<"gather"> = ({ inputs, params }) => {
  const type = typeAt(inputs, 0);
  const { outer, n, inner } = split(type, params.axis);
  const missing = isFloat(type.dtype) ? NaN : 0;
  return loop((out, x, indices) => {
    let o = 0;
    for (let block = 0; block < outer; block++) {
      for (let i = 0; i < indices.length; i++, o += inner) {
        const index = indices[i] as number;
        if (index >= 0 && index < n) copyRow(out, o, x, (block * n + index) * inner, inner);
        else out.fill(missing, o, o + inner);
      }
    }
  });
};

function copyRow(out: HostArray, o: number, x: HostArray, from: number, size: number): void {
  for (let j = 0; j < size; j++) out[o + j] = x[from + j] as number;
}

export const scatter_add: KernelRule<"scatter_add"> = ({ inputs, params }) => {
  const { outer, n, inner } = split(typeAt(inputs, 0), params.axis);
  return loop((out, x, indices, updates) => {
    out.set(x);
    let u = 0;
    for (let block = 0; block < outer; block++) {
      for (let i = 0; i < indices.length; i++, u += inner) {
        const index = indices[i] as number;
        if (index >= 0 && index < n) addRow(out, (block * n + index) * inner, updates, u, inner);
      }
    }
  });
};

function addRow(out: HostArray, o: number, updates: HostArray, from: number, size: number): void {
  for (let j = 0; j < size; j++) out[o + j] = (out[o + j] as number) + (updates[from + j] as number);
}
