/** Gradient clipping by the length of the whole gradient. */
import { ArgumentError } from "../errors.ts";
import { add, div, minimum, mul, sqrt, square } from "../ops/elementwise.ts";
import { astype } from "../ops/lift.ts";
import { sum } from "../ops/reduction.ts";
import { eagerly } from "../random/eager.ts";
import { literalTracer } from "../trace/builder.ts";
import type { Tracer } from "../trace/tracer.ts";
import { type Tree, treeLeaves, treeMap } from "../trace/tree.ts";
import type { LeafOf } from "./optimizer.ts";

export interface Clipped<G> {
  readonly grads: G;
  /** Before clipping. */
  readonly norm: LeafOf<G>;
}

/** sqrt of the sum of all squares in a tree: a scalar of the widest dtype in it, float32 0 for a tree without leaves. */
export function globalNorm<G>(tree: G): LeafOf<G> {
  return eagerly(norm)(tree) as LeafOf<G>;
}

function norm(tree: unknown): Tracer {
  const squares = treeLeaves(tree as Tree<Tracer>).map(({ leaf }) => sum(square(leaf)));
  const [first = literalTracer("float32", 0), ...rest] = squares;
  return sqrt(rest.reduce((total, x) => add(total, x), first));
}

/**
 * Scales a tree by min(1, maxNorm / (norm + 1e-6)), norm being its global norm. A NaN or an infinity anywhere makes all
 * of it NaN, and shows in `norm`. Throws ArgumentError unless maxNorm is positive.
 */
export function clipByGlobalNorm<G>(grads: G, maxNorm: number): Clipped<G> {
  if (!(maxNorm > 0)) throw new ArgumentError(`clipByGlobalNorm: maxNorm must be positive, got ${maxNorm}`);
  return eagerly(clip)(grads, maxNorm) as Clipped<G>;
}

function clip(grads: unknown, maxNorm: number): unknown {
  const length = norm(grads);
  const scale = minimum(1, div(maxNorm, add(length, 1e-6)));
  return { grads: treeMap((g: Tracer) => mul(g, astype(scale, g.dtype)), grads), norm: length };
}
