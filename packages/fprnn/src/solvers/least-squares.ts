/** Small least-squares problems by their normal equations, one per row, written out for a handful of unknowns. */
import { ShapeError, stack, type Tracer, where } from "@banach/autograd";

/** min_x |A x - b|^2, given as A^T A and A^T b. */
export interface NormalEquations {
  /** A^T A, [batch, n, n]. */
  readonly gram: Tracer;
  /** A^T b, [batch, n]. */
  readonly rhs: Tracer;
}

export interface LeastSquaresOptions {
  /** Adds `ridge` |a_i|^2 x_i^2 to what is minimised: a penalty relative to each column's own length. */
  readonly ridge: number;
  /**
   * A column whose squared sine to the span of the columns before it is below this adds nothing but rounding: it is left
   * out, and its unknown is 0. Rounding makes this quantity meaningless below some multiples of the machine epsilon.
   */
  readonly floor: number;
}

/**
 * x [batch, n], by a Cholesky factorisation L D L^T of the columns scaled to length 1, which makes the condition number
 * nearly the least that scaling can (A. van der Sluis, "Condition numbers and equilibration of matrices", 1969). Columns of
 * zeros, and columns that depend on those before them, get 0: so the order of the columns is their order of importance.
 * Costs n^3 / 6 operations on rows. Throws ShapeError unless the shapes fit.
 */
export function solveLeastSquares({ gram, rhs }: NormalEquations, { ridge, floor }: LeastSquaresOptions): Tracer {
  const n = rhs.dim(-1);
  if (gram.rank !== rhs.rank + 1 || gram.dim(-1) !== n || gram.dim(-2) !== n) {
    throw new ShapeError(
      `solveLeastSquares: gram must be [batch, ${n}, ${n}] for ${n} unknowns, got ${gram.toString()}`,
    );
  }
  const each = Array.from({ length: n }, (_, i) => i);
  const scales = each.map((i) => {
    const square = gram.index(-2, i).index(-1, i);
    return where(square.greater(0), square.rsqrt(), 0);
  });
  const scale = (i: number): Tracer => at(scales, i);
  const entry = (i: number, j: number): Tracer => {
    const cosine = gram.index(-2, i).index(-1, j).mul(scale(i)).mul(scale(j));
    return i === j ? cosine.add(ridge) : cosine;
  };
  // Of row i: the multipliers of the columns before it and its pivot; 1 / pivot is 0 for a column that is left out.
  const lower: (readonly Tracer[])[] = [];
  const pivots: Tracer[] = [];
  const inverses: Tracer[] = [];
  for (const i of each) {
    const row: Tracer[] = [];
    for (let j = 0; j < i; j++) {
      const known = row.map((l, k) => l.mul(at(at(lower, j), k)).mul(at(pivots, k)));
      row.push(known.reduce((sum, term) => sum.sub(term), entry(i, j)).mul(at(inverses, j)));
    }
    const pivot = row.reduce((sum, l, k) => sum.sub(l.mul(l).mul(at(pivots, k))), entry(i, i));
    // A column of zeros has only the ridge left.
    const counts = pivot.greater(floor).and(scale(i).greater(0));
    lower.push(row);
    pivots.push(pivot);
    inverses.push(where(counts, pivot.reciprocal(), 0));
  }
  const forward: Tracer[] = [];
  for (const i of each) {
    const known = at(lower, i).map((l, k) => l.mul(at(forward, k)));
    forward.push(known.reduce((sum, term) => sum.sub(term), rhs.index(-1, i).mul(scale(i))));
  }
  const solution: Tracer[] = [];
  for (const i of each.toReversed()) {
    const known = solution.map((x, k) => at(at(lower, n - 1 - k), i).mul(x));
    const own = at(forward, i).mul(at(inverses, i));
    solution.push(known.reduce((sum, term) => sum.sub(term), own));
  }
  return stack(
    solution.reverse().map((x, i) => x.mul(scale(i))),
    -1,
  );
}

function at<T>(list: readonly T[], i: number): T {
  const item = list[i];
  if (item === undefined) throw new RangeError(`solveLeastSquares: no entry ${i}`);
  return item;
}
