/** Linear solvers as values: how A x = b is solved when A is known by its products only. */
import type { Tracer } from "@banach/autograd";
import type { Tolerances } from "../solvers/solver.ts";

export interface LinearSolved {
  /** Of the shape of b. */
  readonly x: Tracer;
  /** int32[row]: products with A. */
  readonly iterations: Tracer;
}

/**
 * Solves one system per row: b is [row, ...], and `product` maps [row, ...] to the same, each row by a matrix of its own.
 * `tol` is relative, |b - A x| / |b| in the Euclidean norm of the row; `maxSteps` bounds the products with A. Rows of zeros
 * have the solution 0. Works in traced ops and gives no gradient.
 */
export interface LinearSolver extends Tolerances {
  readonly name: string;
  /** The same solver with other tolerances. */
  readonly with: (tolerances: Partial<Tolerances>) => LinearSolver;
  readonly solve: (product: (x: Tracer) => Tracer, b: Tracer) => LinearSolved;
}

/** Euclidean norm of each row: [row, ...] -> [row]. */
export function rowNorm(x: Tracer): Tracer {
  return x
    .mul(x)
    .sum({ axes: trailing(x) })
    .sqrt();
}

/** A number per row, [row], as [row, 1, ...] that broadcasts to x. */
export function perRow(numbers: Tracer, x: Tracer): Tracer {
  return numbers.reshape([x.dim(0), ...trailing(x).map(() => 1)]);
}

/** All axes but the rows'. */
export function trailing(x: Tracer): readonly number[] {
  return x.shape.slice(1).map((_, i) => i + 1);
}
