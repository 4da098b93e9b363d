/** The loop of a solver, which ends at a depth that only the run of a program knows, if there is one. */
import { full, type MapTree, type Operand, type Tracer, whileLoop } from "@banach/autograd";
import type { Limits } from "./solver.ts";

interface Counted<C> {
  readonly carry: C;
  /** Iterations so far: int32[rows] or int32[], like the predicate. */
  readonly made: Tracer;
}

/**
 * As `whileLoop` with a predicate of a shape, bool[rows] or bool[], but no further than the depth. A depth below 1 counts as
 * 1, as maxSteps is at least 1: a start that was never looked at is no solution.
 */
export function iterateTo<const C>(
  predicate: (carry: MapTree<C, Operand, Tracer>) => Tracer,
  body: (carry: MapTree<C, Operand, Tracer>) => NoInfer<C> | MapTree<C, Operand, Operand>,
  init: C,
  { maxSteps, depth, rows }: Pick<Limits, "maxSteps" | "depth"> & { readonly rows: readonly number[] },
): { readonly carry: MapTree<C, Operand, Tracer>; readonly steps: Tracer } {
  if (depth === undefined) return whileLoop(predicate, body, init, { maxSteps });
  type Traced = Counted<MapTree<C, Operand, Tracer>>;
  const most = depth.maximum(1);
  const start: Counted<C> = { carry: init, made: full(rows, 0, "int32") };
  const { carry, steps } = whileLoop(
    // A tree with a tree of the caller's in it; the compiler cannot take the one apart without knowing the other.
    (counted) => {
      const { carry: inner, made } = counted as unknown as Traced;
      return predicate(inner).and(made.less(most));
    },
    (counted) => {
      const { carry: inner, made } = counted as unknown as Traced;
      return { carry: body(inner), made: made.add(1) } as unknown as typeof start;
    },
    start,
    { maxSteps },
  );
  return { carry: (carry as unknown as Traced).carry, steps };
}
