/** The implicit function theorem as one differentiable step: a cotangent is turned by (I - J^T)^-1 before the step gets it. */
import { customVjp, full, stopGradient, type Tracer, vjp, where } from "@banach/autograd";
import { perRow } from "../linear/linear-solver.ts";
import type { Problem } from "../problem.ts";
import { encode } from "./report.ts";
import { type AdjointSolve, failed, solveAdjoint, type Unsolved } from "./stats.ts";

/** A map at its fixed point. `context` is a tree of all that the map depends on besides y. */
export interface AtSolution<Context> {
  readonly map: (y: Tracer, context: Context) => Tracer;
  /** y*, without gradient. */
  readonly solution: Tracer;
  readonly context: Context;
  /** map(y*, context), differentiable by the context. */
  readonly next: Tracer;
}

/** A problem's map at a solution y. */
export function atSolution<Theta>(problem: Problem<Theta>, theta: Theta, y: Tracer): AtSolution<Theta> {
  const solution = stopGradient(y);
  const map: Problem<Theta>["step"] = (before, context) => problem.step(before, context);
  return { map, solution, context: theta, next: map(solution, theta) };
}

/** What becomes of a cotangent, from the pullback v -> J^T v of the map at y*; and what there is to say to a probe. */
type Backward = (
  pullback: (v: Tracer) => Tracer,
  cotangent: Tracer,
) => { readonly w: Tracer; readonly report?: Tracer };

/** The solution, or the map of it, whose cotangent g reaches `next` as the w that `backward` makes of it. */
export function turned<Context>(
  { map, solution, context, next }: AtSolution<Context>,
  value: "solution" | "next",
  probe: Tracer | null,
  backward: Backward,
): Tracer {
  type Args = readonly [Tracer, Tracer, Context, Tracer | null];
  const pick = (after: Tracer, at: Tracer): Tracer => (value === "next" ? after : at);
  const turn = customVjp<Args, Tracer, { readonly at: Tracer; readonly given: Context }>({
    primal: (after, at) => pick(after, at),
    forward: (after, at, given) => ({ value: pick(after, at), saved: { at, given } }),
    backward: ({ at, given }, cotangent) => {
      const { pullback } = vjp((y: Tracer) => map(y, given), at);
      const { w, report = null } = backward(pullback, cotangent);
      return [w, null, null, report];
    },
  });
  return turn(next, solution, context, probe);
}

export interface ImplicitSolve extends AdjointSolve {
  readonly unsolved: Unsolved;
}

/**
 * The w of `(I - J^T) w = g`, with its status for the probe; `step` is what one differentiable step makes of g, null if that
 * is 0.
 */
export function implicitly(
  { unsolved, ...solve }: ImplicitSolve,
  probe: Tracer | null,
  step: ((g: Tracer) => Tracer) | null,
): Backward {
  return (pullback, g) => {
    const { w, stats, residualOf } = solveAdjoint(pullback, g, solve);
    const report = probe === null ? {} : { report: encode(stats, probe.dtype) };
    const tol = solve.solver.tol;
    const replace = (rows: Tracer, instead: Tracer): Tracer => where(perRow(rows, g), instead, w);
    switch (unsolved) {
      case "keep":
        return { w, ...report };
      case "nan":
        return { w: replace(failed(stats, tol, null), full(g.shape, Number.NaN, g.dtype)), ...report };
      case "step": {
        // The residual of 0 is 1, and knowing so spares a product.
        if (step === null) return { w: replace(failed(stats, tol, 1), g.zerosLike()), ...report };
        const instead = step(g);
        return { w: replace(failed(stats, tol, residualOf(instead)), instead), ...report };
      }
      default:
        return unsolved satisfies never;
    }
  };
}
