/** Gradient clipping by the length of the whole gradient. */
import { ArgumentError } from "../errors.ts";
import { isFloat, sizeOf } from "../ir/tensor-type.ts";
import { stopGradient } from "../ops/control.ts";
import {
  abs,
  add,
  and,
  div,
  greater,
  isFinite,
  maximum,
  minimum,
  mul,
  sqrt,
  square,
  where,
} from "../ops/elementwise.ts";
import { astype } from "../ops/lift.ts";
import { max, sum } from "../ops/reduction.ts";
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

/**
 * sqrt of the sum of all squares in a tree: a scalar of the widest dtype in it, float32 0 for a tree without leaves.
 * Squares neither overflow nor underflow: the elements are divided by the largest first. NaN if any element is; else
 * infinite if any element is, or if the norm itself is larger than the dtype holds.
 */
export function globalNorm<G>(tree: G): LeafOf<G> {
  return eagerly(norm)(tree) as LeafOf<G>;
}

function norm(tree: unknown): Tracer {
  const leaves = treeLeaves(tree as Tree<Tracer>).map(({ leaf }) =>
    isFloat(leaf.dtype) ? leaf : astype(leaf, "float32"),
  );
  const [first = literalTracer("float32", 0), ...others] = leaves
    .filter(({ shape }) => sizeOf(shape) > 0)
    .map((leaf) => max(abs(leaf)));
  const largest = others.reduce((a, b) => maximum(a, b), first);
  // Zero, NaN and infinite need no scale; they come out of the product as they are.
  const scaled = and(greater(largest, 0), isFinite(largest));
  // The norm does not depend on the unit, so no gradient flows through it.
  const unit = stopGradient(where(scaled, largest, 1));
  const [start = literalTracer("float32", 0), ...squares] = leaves.map((leaf) => sum(square(div(leaf, unit))));
  return mul(unit, sqrt(squares.reduce((total, x) => add(total, x), start)));
}

/**
 * Scales a tree by min(1, maxNorm / (norm + 1e-6)), norm being its global norm (see `globalNorm`). Where that is NaN or
 * infinite, every element becomes NaN. Throws ArgumentError unless maxNorm is positive.
 */
export function clipByGlobalNorm<G>(grads: G, maxNorm: number): Clipped<G> {
  if (!(maxNorm > 0)) throw new ArgumentError(`clipByGlobalNorm: maxNorm must be positive, got ${maxNorm}`);
  return eagerly(clip)(grads, maxNorm) as Clipped<G>;
}

function clip(grads: unknown, maxNorm: number): unknown {
  const length = norm(grads);
  const scale = where(isFinite(length), minimum(1, div(maxNorm, add(length, 1e-6))), Number.NaN);
  return { grads: treeMap((g: Tracer) => mul(g, astype(scale, g.dtype)), grads), norm: length };
}
