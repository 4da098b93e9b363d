/** A contraction in normal form: four flat groups of axes (batch, m, n, k), and how each operand moves along them. */
import type { ContractKernel, Read } from "@banach/autograd/backend";
import type { Axis } from "./axes.ts";
import { mergedAxes } from "./axes.ts";

/** Bytes of an element; float32, int32 and uint32 are all that is contracted. */
export const elementBytes = 4;

/** An operand along its groups of axes; the other operand's free group does not move it. */
export interface Operand {
  readonly read: Read;
  readonly batch: readonly Axis[];
  /** m of the left operand, n of the right one. */
  readonly free: readonly Axis[];
  readonly k: readonly Axis[];
}

export interface Contraction {
  readonly dtype: "float32" | "integer";
  /** Sizes of the result's axes, group by group. */
  readonly shape: { readonly batch: readonly number[]; readonly m: readonly number[]; readonly n: readonly number[] };
  /** Number of indices of each group. */
  readonly batch: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly left: Operand;
  readonly right: Operand;
  /** Whether m and n have changed places, so that results next to each other in n are not so in the kernel's n. */
  readonly swapped: boolean;
}

const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);

function dtypeOf({ left, right }: ContractKernel): Contraction["dtype"] {
  if (left.dtype === "float32" && right.dtype === "float32") return "float32";
  const integer = (read: Read): boolean => read.dtype === "int32" || read.dtype === "uint32";
  if (integer(left) && integer(right)) return "integer";
  throw new TypeError(`a contraction of ${left.dtype} and ${right.dtype} has no kernel`);
}

/** Puts the k axes in the order in which the left operand lies in memory; any order adds up the same terms. */
function orderOfK({ k, left }: ContractKernel, first: number): number[] {
  const stride = (axis: number): number => Math.abs(left.access.strides[first + axis] ?? 0);
  return k.map((_, axis) => axis).sort((a, b) => stride(b) - stride(a) || a - b);
}

/** Reads a kernel. A batch that does not move the right operand becomes part of m: one large product for many small. */
export function contractionOf(kernel: ContractKernel): Contraction {
  const { shape, axes, left, right } = kernel;
  let batch = axes.batch;
  while (batch > 0 && (right.access.strides[batch - 1] === 0 || shape[batch - 1] === 1)) batch--;
  const n = axes.batch + axes.m;
  const k = orderOfK(kernel, shape.length);
  const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);
  const group = ({ access }: Read, members: readonly number[]): readonly Axis[] =>
    mergedAxes(
      members.map((axis) => ({
        size: shape[axis] ?? kernel.k[axis - shape.length] ?? 1,
        stride: (access.strides[axis] ?? 0) * elementBytes,
      })),
    );
  const operand = (read: Read, free: readonly number[]): Operand => ({
    read,
    batch: group(read, range(0, batch)),
    free: group(read, free),
    k: group(
      read,
      k.map((axis) => shape.length + axis),
    ),
  });
  return {
    dtype: dtypeOf(kernel),
    shape: { batch: shape.slice(0, batch), m: shape.slice(batch, n), n: shape.slice(n) },
    batch: product(shape.slice(0, batch)),
    m: product(shape.slice(batch, n)),
    n: product(shape.slice(n)),
    k: product(kernel.k),
    left: operand(left, range(batch, n)),
    right: operand(right, range(n, shape.length)),
    swapped: false,
  };
}

/** The same results with the operands exchanged. */
export function swapped(c: Contraction): Contraction {
  const shape = { ...c.shape, m: c.shape.n, n: c.shape.m };
  return { ...c, shape, m: c.n, n: c.m, left: c.right, right: c.left, swapped: !c.swapped };
}
