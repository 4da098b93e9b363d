/** Linear equations with a diagonal and a matrix of low rank, solved in closed form at every position. */
import { concatenate, ShapeError, type Tracer, where } from "@banach/autograd";
import type { LowRank } from "./mixer.ts";
import { along } from "./reflections.ts";

/** (diag(d) + diag(e) Q) y = rhs, all [..., D] or of shapes that broadcast to it. */
export interface DiagonalPlusMixer {
  readonly d: Tracer;
  readonly e: Tracer;
  readonly rhs: Tracer;
}

/**
 * y [..., D] with (diag(d) + diag(e) Q) y = rhs for Q = I - U V^T of rank r, by the formula of Woodbury (1950): with
 * a = d + e and W = diag(e / a) U, y = rhs / a + W (I - V^T W)^{-1} V^T (rhs / a). The local fixed point of FP-RNN is that
 * with d = lambda, e = 1 - lambda and rhs = lambda y_{t-1} + (1 - lambda) Q b x; it exists too where the iteration diverges.
 * Costs r^2 inner products; a matrix that is singular gives numbers that are not finite. a must not be 0.
 */
export function solveWoodbury({ u, v }: LowRank, { d, e, rhs }: DiagonalPlusMixer): Tracer {
  if (u.length === 0 || u.length !== v.length) {
    throw new ShapeError(`solveWoodbury: needs as many u as v, and one at least, got ${u.length} and ${v.length}`);
  }
  const a = d.add(e);
  const w = u.map((ui) => ui.mul(e).div(a));
  const start = rhs.div(a);
  const rows = v.map((vi, i) => {
    const entries = w.map((wj, j) =>
      along(vi, wj)
        .neg()
        .add(i === j ? 1 : 0),
    );
    return concatenate([...entries, along(vi, start)], -1);
  });
  const weights = eliminate(rows);
  return w.reduce((y, wj, j) => y.add(wj.mul(weights[j] ?? 0)), start);
}

/**
 * Solves an r x r system at each position, given as r rows [..., r + 1] of which the last column is the right side; the
 * unknowns are [..., 1]. Gaussian elimination with partial pivoting, written out: rows are exchanged by selection.
 */
export function eliminate(rows: readonly Tracer[]): readonly Tracer[] {
  const r = rows.length;
  const a = [...rows];
  const at = (i: number): Tracer => {
    const row = a[i];
    if (row === undefined) throw new RangeError(`eliminate: no row ${i}`);
    return row;
  };
  const entry = (i: number, j: number): Tracer => at(i).sliceAxis(-1, j, j + 1);
  for (let k = 0; k < r; k++) {
    for (let i = k + 1; i < r; i++) {
      const larger = entry(i, k).abs().greater(entry(k, k).abs());
      [a[k], a[i]] = [where(larger, at(i), at(k)), where(larger, at(k), at(i))];
    }
    for (let i = k + 1; i < r; i++) a[i] = at(i).sub(at(k).mul(entry(i, k).div(entry(k, k))));
  }
  const solution: Tracer[] = [];
  for (let k = r - 1; k >= 0; k--) {
    const known = solution.map((x, n) => entry(k, r - 1 - n).mul(x));
    const rest = known.reduce((b, term) => b.sub(term), entry(k, r));
    solution.push(rest.div(entry(k, k)));
  }
  return solution.reverse();
}
