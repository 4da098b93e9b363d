/**
 * Kernels of the reductions. The operand is seen as [outer, n, inner] with n reduced; where the reduced axes are not
 * adjacent it is first moved so that they come last. Sums of floats accumulate in float64.
 */
import { type HostArray, isFloat, type Shape, sizeOf, type TensorType } from "../ir/tensor-type.ts";
import { arrayAt, type Implementation, kernel, type KernelRule, typeAt } from "./kernel.ts";
import { transposeCopy } from "./movement.ts";

interface Extents {
  readonly outer: number;
  readonly n: number;
  readonly inner: number;
}

/** `row` has room for `inner` float64. */
type Reduce = (out: HostArray, x: HostArray, extents: Extents, row: HostArray) => void;

function reduction(type: TensorType, axes: readonly number[], reduce: Reduce): Implementation {
  const extents = adjacent(type.shape, axes);
  if (extents !== undefined) {
    const row: TensorType = { dtype: "float64", shape: [extents.inner] };
    return kernel(
      (outputs, inputs) => {
        reduce(arrayAt(outputs, 0), arrayAt(inputs, 0), extents, arrayAt(outputs, 1));
      },
      [row],
    );
  }
  const kept = type.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const move = transposeCopy(type.shape, [...kept, ...axes]);
  const moved = { outer: sizeAlong(type.shape, kept), n: sizeAlong(type.shape, axes), inner: 1 };
  return kernel(
    (outputs, inputs) => {
      move(arrayAt(outputs, 2), arrayAt(inputs, 0));
      reduce(arrayAt(outputs, 0), arrayAt(outputs, 2), moved, arrayAt(outputs, 1));
    },
    [{ dtype: "float64", shape: [1] }, type],
  );
}

function sizeAlong(shape: Shape, axes: readonly number[]): number {
  return sizeOf(shape.filter((_, axis) => axes.includes(axis)));
}

/** The three extents, if no axis of more than one element lies between two reduced ones. */
function adjacent(shape: Shape, axes: readonly number[]): Extents | undefined {
  const long = axes.filter((axis) => shape[axis] !== 1);
  const first = long[0] ?? shape.length;
  const last = long.at(-1) ?? shape.length;
  const between = shape.slice(first, last + 1).filter((dim, i) => dim !== 1 && !axes.includes(first + i));
  if (between.length > 0) return undefined;
  return { outer: sizeOf(shape.slice(0, first)), n: sizeAlong(shape, axes), inner: sizeOf(shape.slice(last + 1)) };
}

export const reduce_sum: KernelRule<"reduce_sum"> = ({ inputs, params }) => {
  const type = typeAt(inputs, 0);
  return reduction(type, params.axes, isFloat(type.dtype) ? sum : sumInteger);
};

const sum: Reduce = (out, x, { outer, n, inner }, row) => {
  if (inner === 1) {
    sumRows(out, x, n);
    return;
  }
  for (let block = 0; block < outer; block++) {
    sumBlock(row, 0, x, block * n * inner, n, inner);
    out.set(row, block * inner);
  }
};

/** Integers wrap at each store, so that their sum is exact modulo 2^32. */
const sumInteger: Reduce = (out, x, { outer, n, inner }) => {
  for (let block = 0; block < outer; block++) sumBlock(out, block * inner, x, block * n * inner, n, inner);
};

function sumRows(out: HostArray, x: HostArray, n: number): void {
  for (let o = 0, i = 0; o < out.length; o++) {
    let total = 0;
    for (const end = i + n; i < end; i++) total += x[i] as number;
    out[o] = total;
  }
}

/** out[o + j] = sum over k of x[start + k * inner + j]. */
function sumBlock(out: HostArray, o: number, x: HostArray, start: number, n: number, inner: number): void {
  out.fill(0, o, o + inner);
  for (let k = 0, i = start; k < n; k++) {
    for (let j = o; j < o + inner; j++, i++) out[j] = (out[j] as number) + (x[i] as number);
  }
}

export const reduce_max: KernelRule<"reduce_max"> = ({ inputs, params }) =>
  reduction(typeAt(inputs, 0), params.axes, max);

/** Math.max is NaN if either argument is. */
const max: Reduce = (out, x, { outer, n, inner }) => {
  for (let block = 0; block < outer; block++) {
    for (let j = 0; j < inner; j++) {
      const start = block * n * inner + j;
      let most = x[start] as number;
      for (let k = 1, i = start + inner; k < n; k++, i += inner) most = Math.max(most, x[i] as number);
      out[block * inner + j] = most;
    }
  }
};

export const argmax: KernelRule<"argmax"> = ({ inputs, params }) => reduction(typeAt(inputs, 0), [params.axis], argMax);

const argMax: Reduce = (out, x, { outer, n, inner }) => {
  for (let block = 0; block < outer; block++) {
    for (let j = 0; j < inner; j++) out[block * inner + j] = firstOfLargest(x, block * n * inner + j, n, inner);
  }
};

function firstOfLargest(x: HostArray, start: number, n: number, stride: number): number {
  let best = 0;
  let most = x[start] as number;
  // A NaN cannot be exceeded: the first one found ends the search.
  for (let k = 1; k < n && !Number.isNaN(most); k++) {
    const v = x[start + k * stride] as number;
    if (v > most || Number.isNaN(v)) {
      most = v;
      best = k;
    }
  }
  return best;
}
