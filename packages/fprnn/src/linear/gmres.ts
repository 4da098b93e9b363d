/** GMRES: the x of a Krylov space that leaves the smallest residual (Y. Saad and M. Schultz, 1986). */
import { ArgumentError, concatenate, full, iota, scan, type Tracer, where, whileLoop, zeros } from "@banach/autograd";
import { requireTolerances, type Tolerances } from "../solvers/solver.ts";
import { type LinearSolved, type LinearSolver, perRow, rowNorm } from "./linear-solver.ts";

export interface GmresOptions extends Partial<Tolerances> {
  /** Vectors of the Krylov space that are kept; when they are full, it begins anew from the residual. Default 12. */
  readonly restart?: number;
}

/** Relative residual at which rounding takes over: beyond it, new vectors are made of nothing else. */
const FLOOR = { float64: 1e-14, float32: 1e-6 } as const;

/**
 * Needs no contraction. With A the identity and a matrix of rank r, it is exact after r + 1 steps. Keeps restart + 1
 * vectors, whatever the number of steps. Begins anew, while steps are left, also where a row's true residual has not met
 * the tolerance though the recurrence says so; stops where that gets it no nearer, which is at rounding even if `tol` is 0.
 * Defaults: tol 1e-5, maxSteps 12, restart 12. Throws ArgumentError unless restart is a positive integer.
 */
export function gmres(options: GmresOptions = {}): LinearSolver {
  const tolerances = requireTolerances("gmres", options, { tol: 1e-5, maxSteps: 12 });
  const { restart = 12 } = options;
  if (!Number.isSafeInteger(restart) || restart < 1) {
    throw new ArgumentError(`gmres: restart must be a positive integer, got ${restart}`);
  }
  const { tol, maxSteps } = tolerances;
  const size = Math.min(restart, maxSteps);
  return {
    name: `gmres(${restart})`,
    ...tolerances,
    with: (changed) => gmres({ restart, ...tolerances, ...changed }),
    solve: (product, b) => {
      const flat = (x: Tracer): Tracer => x.reshape([b.dim(0), b.shape.slice(1).reduce((n, d) => n * d, 1)]);
      const least = b.dtype === "float64" ? FLOOR.float64 : FLOOR.float32;
      const rows: Rows = { product: (x) => flat(product(x.reshape(b.shape))), tol: Math.max(tol, least), least, size };
      const { x, iterations } = solveRows(rows, flat(b), maxSteps);
      return { x: x.reshape(b.shape), iterations };
    },
  };
}

interface Rows {
  /** [row, n] -> [row, n]. */
  readonly product: (x: Tracer) => Tracer;
  readonly tol: number;
  /** What of an image counts as rounding, relative to it. */
  readonly least: number;
  /** Largest dimension m of a Krylov space. */
  readonly size: number;
}

/**
 * The cycles: each solves for the residual that the one before left. That residual is computed anew, since rounding parts
 * the recurrence of a cycle from it: the cycle may believe to be done where it is not.
 */
function solveRows(rows: Rows, b: Tracer, maxSteps: number): LinearSolved {
  const norm = rowNorm(b);
  const target = where(norm.greater(0), norm, 1).mul(rows.tol);
  const batch = b.dim(0);
  const { carry } = whileLoop(
    ({ size, stuck, iterations }) => size.greaterEqual(target).and(stuck.not()).and(iterations.less(maxSteps)),
    ({ x, r, size, iterations }) => {
      const step = cycle(rows, { r, target, left: iterations.neg().add(maxSteps) });
      const next = x.add(step.x);
      const rest = b.sub(rows.product(next));
      const left = rowNorm(rest);
      // Never longer but by rounding. A NaN is no such thing, and has to be seen.
      const worse = left.greater(size);
      return {
        x: where(perRow(worse, x), x, next),
        r: where(perRow(worse, r), r, rest),
        size: where(worse, size, left),
        // Done by its own account and not nearer by half: what is left is rounding, or out of reach.
        stuck: step.size.less(target).and(left.greater(size.mul(0.5))),
        iterations: iterations.add(step.iterations),
      };
    },
    {
      x: b.zerosLike(),
      r: b,
      size: norm,
      stuck: full([batch], false, "bool"),
      iterations: full([batch], 0, "int32"),
    },
    { maxSteps },
  );
  return { x: nanWhere(carry.size, carry.x), iterations: carry.iterations };
}

/** A row that begins with a NaN makes no step; its 0 must not pass for a solution. */
function nanWhere(size: Tracer, x: Tracer): Tracer {
  const broken = full([x.dim(0)], Number.NaN, x.dtype);
  return where(perRow(size.isFinite(), x), x, perRow(broken, x));
}

interface Cycle {
  readonly r: Tracer;
  /** Norm of the residual that ends a row, [row]. */
  readonly target: Tracer;
  /** int32[row]: steps that the row may still make. */
  readonly left: Tracer;
}

/** What Arnoldi's process carries for each row. Rotations make H upper triangular as its columns come. */
interface Krylov {
  /** Orthonormal vectors, [row, m + 1, n]; zeros where there is none yet. */
  readonly basis: Tracer;
  /** The triangle, column after column: [row, m, m + 1]. */
  readonly columns: Tracer;
  /** The product of the rotations, [row, m + 1, m + 1]. */
  readonly rotation: Tracer;
  /** int32[row]: columns so far. */
  readonly count: Tracer;
  /** Norm of the residual by recurrence, [row]. */
  readonly size: Tracer;
}

/** One Krylov space: x with the smallest |r - A x| in it, and how small the recurrence believes that to be, [row]. */
function cycle(rows: Rows, { r, target, left }: Cycle): LinearSolved & Pick<Krylov, "size"> {
  const [batch, n, m] = [r.dim(0), r.dim(1), rows.size];
  const beta = rowNorm(r);
  const { carry, steps } = whileLoop(
    ({ size, count }) => size.greaterEqual(target).and(count.less(left)),
    (space: Krylov) => extend(space, rows, beta),
    {
      basis: concatenate([unit(r, beta).expandDims(1), zeros([batch, m, n], r.dtype)], 1),
      columns: zeros([batch, m, m + 1], r.dtype),
      rotation: oneHot(iota([m + 1]), m + 1, r.dtype)
        .expandDims(0)
        .broadcastTo([batch, m + 1, m + 1]),
      count: full([batch], 0, "int32"),
      size: beta,
    },
    { maxSteps: m },
  );
  const weights = substitute(carry, beta);
  return { x: nanWhere(carry.size, combine(weights, carry.basis)), iterations: steps, size: carry.size };
}

/** One more vector, its column, and the rotation that clears the entry below the diagonal. */
function extend({ basis, columns, rotation, count }: Krylov, { product, least }: Rows, beta: Tracer): Krylov {
  const m = columns.dim(1);
  const [here, next] = [oneHot(count, m + 1, basis.dtype), oneHot(count.add(1), m + 1, basis.dtype)];
  const image = product(combine(here, basis));
  // Orthogonalised twice: once leaves what rounding made of it.
  const first = against(basis, image);
  const once = image.sub(combine(first, basis));
  const second = against(basis, once);
  const rest = once.sub(combine(second, basis));
  const below = rowNorm(rest);
  const isLeft = below.greater(rowNorm(image).mul(least));
  const rotated = rotate(rotation, first.add(second));
  const diagonal = dot(here, rotated);
  const radius = diagonal.mul(diagonal).add(below.mul(below)).sqrt();
  const cos = where(radius.greater(0), diagonal.div(radius), 1);
  const sin = where(radius.greater(0), below.div(radius), 0);
  const [upper, lower] = [combine(here, rotation), combine(next, rotation)];
  const turned = rotation
    .add(outer(here, weighted(cos.sub(1), upper, sin, lower)))
    .add(outer(next, weighted(sin.neg(), upper, cos.sub(1), lower)));
  const column = rotated.add(here.mul(radius.sub(diagonal).expandDims(1)));
  return {
    // What is left of the image where the space holds all of it is rounding, and no direction.
    basis: basis.add(outer(next, where(isLeft.expandDims(1), unit(rest, below), 0))),
    columns: columns.add(outer(here.sliceAxis(1, 0, m), column)),
    rotation: turned,
    count: count.add(1),
    size: beta.mul(dot(next, turned.index(2, 0)).abs()),
  };
}

/** The weights [row, m + 1] of the basis: the triangle's equations, last first; 0 for a column that is not there. */
function substitute({ columns, rotation }: Krylov, beta: Tracer): Tracer {
  const m = columns.dim(1);
  const places = oneHot(iota([m]), m + 1, columns.dtype);
  const [, weights] = scan(
    (rest, { column, place }) => {
      const at = place.expandDims(0);
      const diagonal = column.mul(at).sum({ axes: 1 });
      const known = rest.mul(at).sum({ axes: 1 });
      const filled = diagonal.equal(0).not();
      const weight = where(filled, known.div(where(filled, diagonal, 1)), 0);
      return [rest.sub(column.mul(weight.expandDims(1))), weight];
    },
    rotation.index(2, 0).mul(beta.expandDims(1)),
    { column: columns.transpose([1, 0, 2]), place: places },
    { reverse: true },
  );
  const list = weights.transpose([1, 0]);
  return concatenate([list, zeros([list.dim(0), 1], list.dtype)], 1);
}

/** 1 at each index: int32[k] -> [k, n]; zeros for an index outside. */
function oneHot(index: Tracer, n: number, dtype: Tracer["dtype"]): Tracer {
  return iota([index.dim(0), n], 1)
    .equal(index.expandDims(1))
    .astype(dtype);
}

/** sum_k w[k] v[k]: [row, k] and [row, k, n] -> [row, n]. */
function combine(weights: Tracer, vectors: Tracer): Tracer {
  return weights.dotGeneral(vectors, { contracting: [[1], [1]], batch: [[0], [0]] });
}

/** The inner product with each vector: [row, k, n] and [row, n] -> [row, k]. */
function against(vectors: Tracer, x: Tracer): Tracer {
  return vectors.dotGeneral(x, { contracting: [[2], [1]], batch: [[0], [0]] });
}

const rotate = against;

/** [row, a] and [row, b] -> [row, a, b]. */
function outer(a: Tracer, b: Tracer): Tracer {
  return a.expandDims(2).mul(b.expandDims(1));
}

/** Inner product of each row of two [row, n]. */
function dot(a: Tracer, b: Tracer): Tracer {
  return a.mul(b).sum({ axes: 1 });
}

/** a u + b v, with numbers [row] and vectors [row, n]. */
function weighted(a: Tracer, u: Tracer, b: Tracer, v: Tracer): Tracer {
  return u.mul(a.expandDims(1)).add(v.mul(b.expandDims(1)));
}

/** x over its norm; zeros stay zeros. */
function unit(x: Tracer, norm: Tracer): Tracer {
  return x.div(where(norm.equal(0), 1, norm).expandDims(1));
}
