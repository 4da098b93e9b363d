/** Small matrices [..., m, n], one at each position: products, and symmetric ones from their triangle. */
import { iota, type Tracer, where } from "@banach/autograd";

/** A B: [..., m, k] and [..., k, n] -> [..., m, n]. */
export function product(a: Tracer, b: Tracer): Tracer {
  return contract(a, -1, b, -2);
}

/** A B^T: [..., m, k] and [..., n, k] -> [..., m, n]. */
export function timesTransposed(a: Tracer, b: Tracer): Tracer {
  return contract(a, -1, b, -1);
}

/** A^T B: [..., k, m] and [..., k, n] -> [..., m, n]. */
export function transposedTimes(a: Tracer, b: Tracer): Tracer {
  return contract(a, -2, b, -2);
}

/** A x: [..., m, k] and [..., k] -> [..., m]. */
export function timesVector(a: Tracer, x: Tracer): Tracer {
  return a.mul(x.expandDims(-2)).sum({ axes: -1 });
}

/** A^T x: [..., k, m] and [..., k] -> [..., m]. */
export function transposedTimesVector(a: Tracer, x: Tracer): Tracer {
  return a.mul(x.expandDims(-1)).sum({ axes: -2 });
}

/** A with its last two axes exchanged. */
export function transposed(a: Tracer): Tracer {
  const axes = a.shape.map((_, axis) => axis);
  return a.transpose([...axes.slice(0, -2), a.rank - 1, a.rank - 2]);
}

/** The identity, [d, d]. */
export function identityMatrix(d: number, dtype: Tracer["dtype"]): Tracer {
  return iota([d, d], 0)
    .equal(iota([d, d], 1))
    .astype(dtype);
}

function contract(a: Tracer, aAxis: -1 | -2, b: Tracer, bAxis: -1 | -2): Tracer {
  const batch = a.shape.slice(0, -2).map((_, axis) => axis);
  return a.dotGeneral(b, { contracting: [[a.rank + aAxis], [b.rank + bAxis]], batch: [batch, batch] });
}

/** Number of entries on and above the diagonal of a d x d matrix. */
export function triangleSize(d: number): number {
  return (d * (d + 1)) / 2;
}

/**
 * Where each entry of an upper triangular d x d matrix stands when its rows are written one after another without what is
 * below the diagonal, int32[d, d]; there it is -1.
 */
export function trianglePositions(d: number): Tracer {
  const [i, j] = [iota([d, d], 0), iota([d, d], 1)];
  // Row i begins after d + (d - 1) + ... + (d - i + 1) entries, and its first one is in column i.
  const position = i
    .mul(i.neg().add(2 * d - 1))
    .div(2)
    .add(j);
  return where(j.less(i), -1, position);
}

/** The upper triangular matrix [..., d, d] of entries [..., d (d + 1) / 2], with positions [d, d] as above. */
export function upperTriangular(entries: Tracer, positions: Tracer): Tracer {
  return where(positions.greaterEqual(0), entries.take(positions.maximum(0), -1), 0);
}
