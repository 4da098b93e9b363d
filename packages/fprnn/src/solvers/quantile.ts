/** Quantiles of a short vector, composed of comparisons: no sort is needed for a batch of residuals. */
import { ArgumentError, iota, type Tracer, where } from "@banach/autograd";

/**
 * The q-quantile of x [n] by linear interpolation between order statistics: q = 0 is the minimum, q = 1 the maximum.
 * Work grows as n^2. Infinite entries are ordered as usual; with a NaN the result is unspecified.
 */
export function quantile(x: Tracer, q: number): Tracer {
  if (!(q >= 0 && q <= 1)) throw new ArgumentError(`quantile: q must be in [0, 1], got ${q}`);
  const n = x.dim(0);
  const position = q * (n - 1);
  const lower = Math.floor(position);
  const fraction = position - lower;
  const ranks = ranksOf(x);
  const at = (rank: number): Tracer => where(ranks.equal(rank), x, 0).sum();
  // A weight of exactly 0 must not multiply an infinite neighbour.
  return fraction === 0
    ? at(lower)
    : at(lower)
        .mul(1 - fraction)
        .add(at(lower + 1).mul(fraction));
}

/** How many entries come before each one, ties broken by position: int32[n], a permutation. */
function ranksOf(x: Tracer): Tracer {
  const n = x.dim(0);
  const [column, row] = [x.expandDims(1), x.expandDims(0)];
  const earlier = iota([n, n], 1).less(iota([n, n], 0));
  return row.less(column).or(row.equal(column).and(earlier)).sum({ axes: 1 });
}
