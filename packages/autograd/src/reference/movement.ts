/** Kernels of the movement primitives: each is one or more copies of a box of elements between two strided layouts. */
import { dimOf, type HostArray, type Shape, sizeOf, stridesOf } from "../ir/tensor-type.ts";
import { arrayAt, kernel, type KernelRule, loop, typeAt } from "./kernel.ts";

/** Where the elements of a box lie in an array. */
export interface Layout {
  readonly offset: number;
  readonly strides: readonly number[];
}

type Copy = (out: HostArray, x: HostArray) => void;

/** One loop of a copy: its length, and its stride on either side. */
interface Run {
  size: number;
  readonly to: number;
  readonly from: number;
}

/** Below this length a plain loop is faster than making a view for the built-in copy. */
const LONG = 64;

/** A copy of a box with extents `dims`, from one layout to another. */
export function boxCopy(dims: Shape, to: Layout, from: Layout): Copy {
  if (sizeOf(dims) === 0) return () => undefined;
  const runs = mergedRuns(dims, to, from);
  const [inner = SINGLE, rows = SINGLE] = runs;
  const visit = (out: HostArray, x: HostArray, depth: number, o: number, i: number): void => {
    const run = runs[depth];
    if (depth < 2 || run === undefined) {
      copyRows(out, x, o, i, rows, inner);
      return;
    }
    for (let n = 0; n < run.size; n++) visit(out, x, depth - 1, o + n * run.to, i + n * run.from);
  };
  return (out, x) => {
    visit(out, x, runs.length - 1, to.offset, from.offset);
  };
}

const SINGLE: Run = { size: 1, to: 0, from: 0 };

/** The loops of a copy, innermost first, without those of length 1 and with adjacent ones made one where they can be. */
function mergedRuns(dims: Shape, to: Layout, from: Layout): Run[] {
  const runs: Run[] = [];
  for (let axis = dims.length - 1; axis >= 0; axis--) {
    const run: Run = { size: dimOf(dims, axis), to: dimOf(to.strides, axis), from: dimOf(from.strides, axis) };
    const last = runs.at(-1);
    if (run.size === 1) continue;
    if (last !== undefined && run.to === last.to * last.size && run.from === last.from * last.size) {
      last.size *= run.size;
    } else {
      runs.push(run);
    }
  }
  return runs;
}

function copyRows(out: HostArray, x: HostArray, to: number, from: number, rows: Run, inner: Run): void {
  const { size, to: toStride, from: fromStride } = inner;
  for (let row = 0; row < rows.size; row++) {
    let o = to + row * rows.to;
    let i = from + row * rows.from;
    if (size >= LONG && toStride === 1 && fromStride === 1) {
      out.set(x.subarray(i, i + size), o);
    } else if (size >= LONG && toStride === 1 && fromStride === 0) {
      out.fill(x[i] as number, o, o + size);
    } else {
      for (let n = 0; n < size; n++, o += toStride, i += fromStride) out[o] = x[i] as number;
    }
  }
}

const packed = (shape: Shape): Layout => ({ offset: 0, strides: stridesOf(shape) });

export const reshape: KernelRule<"reshape"> = () => ({ kind: "alias" });

/** A copy that reads the axes of `shape` in the order of `permutation`. */
export function transposeCopy(shape: Shape, permutation: readonly number[]): Copy {
  const strides = stridesOf(shape);
  const dims = permutation.map((axis) => dimOf(shape, axis));
  return boxCopy(dims, packed(dims), { offset: 0, strides: permutation.map((axis) => dimOf(strides, axis)) });
}

export const transpose: KernelRule<"transpose"> = ({ inputs, params }) =>
  loop(transposeCopy(typeAt(inputs, 0).shape, params.permutation));

export const broadcast_in_dim: KernelRule<"broadcast_in_dim"> = ({ inputs, params: { shape, dims } }) => {
  const from = typeAt(inputs, 0).shape;
  const strides = stridesOf(from);
  const repeated = shape.map((_, axis) => {
    const i = dims.indexOf(axis);
    return i < 0 || from[i] === 1 ? 0 : dimOf(strides, i);
  });
  return loop(boxCopy(shape, packed(shape), { offset: 0, strides: repeated }));
};

export const slice: KernelRule<"slice"> = ({ inputs, outputs, params: { start, strides: steps } }) => {
  const strides = stridesOf(typeAt(inputs, 0).shape);
  const dims = typeAt(outputs, 0).shape;
  const offset = strides.reduce((sum, stride, axis) => sum + stride * dimOf(start, axis), 0);
  return loop(
    boxCopy(dims, packed(dims), { offset, strides: strides.map((stride, axis) => stride * dimOf(steps, axis)) }),
  );
};

export const pad: KernelRule<"pad"> = ({ inputs, outputs, params: { low, interior } }) => {
  const dims = typeAt(inputs, 0).shape;
  const strides = stridesOf(typeAt(outputs, 0).shape);
  const offset = strides.reduce((sum, stride, axis) => sum + stride * dimOf(low, axis), 0);
  const spread = strides.map((stride, axis) => stride * (1 + dimOf(interior, axis)));
  const copy = boxCopy(dims, { offset, strides: spread }, packed(dims));
  return loop((out, x) => {
    out.fill(0);
    copy(out, x);
  });
};

export const concatenate: KernelRule<"concatenate"> = ({ inputs, outputs, params: { axis } }) => {
  const strides = stridesOf(typeAt(outputs, 0).shape);
  let start = 0;
  const copies = inputs.map(({ type: { shape } }) => {
    const to = { offset: start * dimOf(strides, axis), strides };
    start += dimOf(shape, axis);
    return boxCopy(shape, to, packed(shape));
  });
  return kernel((results, operands) => {
    copies.forEach((copy, i) => {
      copy(arrayAt(results, 0), arrayAt(operands, i));
    });
  });
};
