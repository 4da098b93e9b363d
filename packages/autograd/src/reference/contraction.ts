/**
 * Kernel of dot_general: both operands are seen as [batch, free, contracted] with one stride for each, and packed into
 * that form where the axes do not allow it. Sums of floats accumulate in float64.
 */
import { freeAxes } from "../ir/infer/contraction.ts";
import { dimOf, type HostArray, isFloat, type Shape, sizeOf, stridesOf, type TensorType } from "../ir/tensor-type.ts";
import { arrayAt, kernel, type KernelRule, typeAt } from "./kernel.ts";
import { transposeCopy } from "./movement.ts";

/** Strides of one operand along the three groups of axes. */
interface Side {
  readonly batch: number;
  readonly free: number;
  readonly along: number;
}

/** result[b, m, n] = sum over k < depth of left[b, m, k] * right[b, n, k]; the result is contiguous. */
interface Contraction {
  readonly batches: number;
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  readonly left: Side;
  readonly right: Side;
}

type Dot = (out: HostArray, a: HostArray, b: HostArray, contraction: Contraction, sums: HostArray) => void;

export const dot_general: KernelRule<"dot_general"> = ({ inputs, params: { batch, contracting } }) => {
  const [a, b] = [typeAt(inputs, 0), typeAt(inputs, 1)];
  const [aFree, bFree] = [freeOf(a, batch[0], contracting[0]), freeOf(b, batch[1], contracting[1])];
  const left = operand(a, batch[0], aFree, contracting[0]);
  const right = operand(b, batch[1], bFree, contracting[1]);
  const contraction: Contraction = {
    batches: sizeAlong(a.shape, batch[0]),
    rows: sizeAlong(a.shape, aFree),
    columns: sizeAlong(b.shape, bFree),
    depth: sizeAlong(a.shape, contracting[0]),
    left: left.side,
    right: right.side,
  };
  const dot = chooseDot(a, contraction);
  const sums: TensorType = { dtype: "float64", shape: [contraction.columns] };
  return kernel(
    (outputs, operands) => {
      let next = 2;
      const read = (x: HostArray, pack: Operand["pack"]): HostArray => {
        if (pack === undefined) return x;
        const packed = arrayAt(outputs, next++);
        pack(packed, x);
        return packed;
      };
      const x = read(arrayAt(operands, 0), left.pack);
      const y = read(arrayAt(operands, 1), right.pack);
      dot(arrayAt(outputs, 0), x, y, contraction, arrayAt(outputs, 1));
    },
    [sums, ...(left.pack === undefined ? [] : [a]), ...(right.pack === undefined ? [] : [b])],
  );
};

interface Operand {
  readonly side: Side;
  readonly pack: ReturnType<typeof transposeCopy> | undefined;
}

function freeOf(type: TensorType, batch: readonly number[], contracting: readonly number[]): number[] {
  return freeAxes(type.shape.length, batch, contracting);
}

function sizeAlong(shape: Shape, axes: readonly number[]): number {
  return sizeOf(axes.map((axis) => dimOf(shape, axis)));
}

function operand(
  { shape }: TensorType,
  batch: readonly number[],
  free: readonly number[],
  along: readonly number[],
): Operand {
  const strides = [batch, free, along].map((axes) => strideAlong(shape, axes));
  const [batchStride, freeStride, alongStride] = strides;
  if (batchStride !== undefined && freeStride !== undefined && alongStride !== undefined) {
    return { side: { batch: batchStride, free: freeStride, along: alongStride }, pack: undefined };
  }
  const [columns, depth] = [sizeAlong(shape, free), sizeAlong(shape, along)];
  return {
    side: { batch: columns * depth, free: depth, along: 1 },
    pack: transposeCopy(shape, [...batch, ...free, ...along]),
  };
}

/** The stride with which `axes`, taken in order as one axis, run through the array; undefined if there is none. */
function strideAlong(shape: Shape, axes: readonly number[]): number | undefined {
  const strides = stridesOf(shape);
  const long = axes.filter((axis) => shape[axis] !== 1);
  const last = long.at(-1);
  if (last === undefined) return 0;
  let expected = dimOf(strides, last);
  const first = expected;
  for (const axis of long.reverse()) {
    if (strides[axis] !== expected) return undefined;
    expected *= dimOf(shape, axis);
  }
  return first;
}

function chooseDot({ dtype }: TensorType, { columns, right }: Contraction): Dot {
  if (!isFloat(dtype)) return dotIntegers;
  return columns >= 4 && right.free === 1 ? dotRows : dotColumns;
}

/** Where the columns of the right operand are adjacent: whole rows of it are added up, four at a time. */
const dotRows: Dot = (out, a, b, { batches, rows, columns, depth, left, right }, sums) => {
  for (let batch = 0, o = 0; batch < batches; batch++) {
    for (let m = 0; m < rows; m++, o += columns) {
      sums.fill(0);
      let i = batch * left.batch + m * left.free;
      let j = batch * right.batch;
      let k = 0;
      for (; k + 4 <= depth; k += 4, i += 4 * left.along, j += 4 * right.along) {
        addFourRows(sums as Float64Array, a, i, left.along, b, j, right.along);
      }
      for (; k < depth; k++, i += left.along, j += right.along) {
        const scale = a[i] as number;
        for (let n = 0; n < columns; n++) sums[n] = (sums[n] as number) + scale * (b[j + n] as number);
      }
      for (let n = 0; n < columns; n++) out[o + n] = sums[n] as number;
    }
  }
};

function addFourRows(
  sums: Float64Array,
  a: HostArray,
  i: number,
  aStride: number,
  b: HostArray,
  j: number,
  bStride: number,
): void {
  const [p, q, r] = [j + bStride, j + 2 * bStride, j + 3 * bStride];
  const s0 = a[i] as number;
  const s1 = a[i + aStride] as number;
  const s2 = a[i + 2 * aStride] as number;
  const s3 = a[i + 3 * aStride] as number;
  for (let n = 0; n < sums.length; n++) {
    const low = s0 * (b[j + n] as number) + s1 * (b[p + n] as number);
    const high = s2 * (b[q + n] as number) + s3 * (b[r + n] as number);
    sums[n] = (sums[n] as number) + (low + high);
  }
}

/** Where they are not: one sum per element of the result, four columns at a time. */
const dotColumns: Dot = (out, a, b, { batches, rows, columns, depth, left, right }) => {
  for (let batch = 0, o = 0; batch < batches; batch++) {
    for (let m = 0; m < rows; m++, o += columns) {
      const i = batch * left.batch + m * left.free;
      const j = batch * right.batch;
      let n = 0;
      for (; n + 4 <= columns; n += 4) dotFour(out, o + n, a, i, left.along, b, j + n * right.free, right, depth);
      for (; n < columns; n++) out[o + n] = dotOne(a, i, left.along, b, j + n * right.free, right.along, depth);
    }
  }
};

function dotFour(
  out: HostArray,
  o: number,
  a: HostArray,
  i: number,
  aStride: number,
  b: HostArray,
  j: number,
  right: Side,
  depth: number,
): void {
  const { free, along } = right;
  let [s0, s1, s2, s3] = [0, 0, 0, 0];
  for (let k = 0, p = i, q = j; k < depth; k++, p += aStride, q += along) {
    const x = a[p] as number;
    s0 += x * (b[q] as number);
    s1 += x * (b[q + free] as number);
    s2 += x * (b[q + 2 * free] as number);
    s3 += x * (b[q + 3 * free] as number);
  }
  out[o] = s0;
  out[o + 1] = s1;
  out[o + 2] = s2;
  out[o + 3] = s3;
}

function dotOne(
  a: HostArray,
  i: number,
  aStride: number,
  b: HostArray,
  j: number,
  bStride: number,
  depth: number,
): number {
  let sum = 0;
  for (let k = 0, p = i, q = j; k < depth; k++, p += aStride, q += bStride) {
    sum += (a[p] as number) * (b[q] as number);
  }
  return sum;
}

/** Exact modulo 2^32, which sums of products in float64 would not be. */
const dotIntegers: Dot = (out, a, b, { batches, rows, columns, depth, left, right }) => {
  for (let batch = 0, o = 0; batch < batches; batch++) {
    for (let m = 0; m < rows; m++) {
      for (let n = 0; n < columns; n++, o++) {
        let p = batch * left.batch + m * left.free;
        let q = batch * right.batch + n * right.free;
        let sum = 0;
        for (let k = 0; k < depth; k++, p += left.along, q += right.along) {
          sum = (sum + Math.imul(a[p] as number, b[q] as number)) | 0;
        }
        out[o] = sum;
      }
    }
  }
};
