/** How far a cheap gradient is from the exact one: reported, never hidden. */
import { type MapTree, type Tracer, treeMap, where } from "@banach/autograd";
import { type AdjointStats, implicit, throughTime, valueGradAndAdjoint } from "./adjoints/index.ts";
import { fixedPoint, type SolverAndAdjoint, solverAndAdjoint } from "./fixed-point.ts";
import { gmres } from "./linear/index.ts";
import type { CausalProblem } from "./problem.ts";
import type { Solver } from "./solvers/index.ts";
import type { SolveStats } from "./stats.ts";

/** A layer whose fixed point lies open, such as fpRnn and fpMamba. */
export interface OpenLayer<Params, Theta> {
  parts(
    params: Params,
    x: Tracer,
  ): {
    readonly problem: CausalProblem<Theta>;
    readonly theta: Theta;
    readonly y0: Tracer;
    /** From the fixed point to the layer's output. */
    readonly readout: (y: Tracer) => { readonly y: Tracer };
  };
}

/** The solver and the adjoint in question; by default picard() and truncated(). */
export type GradientBiasOptions = SolverAndAdjoint & {
  /** What is differentiated, a scalar of the layer's output [batch, time, dModel]; default half the sum of its squares. */
  readonly loss?: (y: Tracer) => Tracer;
  /**
   * What the exact gradient is computed with. Default: of a solver that steps through time throughTime({ local: "implicit"
   * }), of another one implicit(), both by gmres and with unsolved "keep": where one solve did not converge, the rest of the
   * comparison still stands, and the status in `exact` tells.
   */
  readonly exact?: SolverAndAdjoint;
};

/** Of one gradient against the exact one. Of two zeros both are 1. */
export interface Bias<T = Tracer> {
  /** <g, e> / (|g| |e|): 1 is the same direction. 0 where just one is zero. */
  readonly cosine: T;
  /** |g| / |e|. */
  readonly normRatio: T;
}

export interface GradientBias<Params> {
  /** Of all parameters and the input taken together, as one vector. */
  readonly overall: Bias;
  /** Of each parameter. */
  readonly parameters: MapTree<Params, Tracer, Bias>;
  readonly input: Bias;
  /** How the solves of the adjoint in question ended, forward and, where it solves, backward. */
  readonly forward: SolveStats;
  readonly adjoint: AdjointStats | null;
  /** The same of the exact gradient, which is only as exact as these say. */
  readonly exact: { readonly forward: SolveStats; readonly adjoint: AdjointStats | null };
}

/**
 * The gradient of a layer by one adjoint against the exact one, inside a traced function, so that it is computed on any
 * device. Both gradients are taken at solutions of their own solver, by default the same one: what a loose tolerance adds
 * to the error of both is not seen here. Throws ArgumentError if a solver and its adjoint do not fit.
 */
export function gradientBias<Params, Theta>(
  layer: OpenLayer<Params, Theta>,
  params: Params,
  x: Tracer,
  options: GradientBiasOptions = {},
): GradientBias<Params> {
  const { loss = halfSquares } = options;
  const chosen = solverAndAdjoint(options);
  const exact = options.exact ?? exactFor(chosen.solver);
  const approximate = gradientBy(layer, params, x, loss, chosen);
  const reference = gradientBy(layer, params, x, loss, exact);
  const pairs: Products[] = [];
  const compare = (g: Tracer, _path: string, [e = g]: readonly Tracer[]): Bias => {
    const products = productsOf(g, e);
    pairs.push(products);
    return biasOf(products);
  };
  const { params: parameters, x: input } = treeMap<Arguments<Params>, Tracer, Bias>(
    compare,
    approximate.grad,
    reference.grad,
  );
  return {
    overall: biasOf(pairs.reduce(addProducts)),
    parameters,
    input,
    forward: approximate.forward,
    adjoint: approximate.adjoint,
    exact: { forward: reference.forward, adjoint: reference.adjoint },
  };
}

const halfSquares = (y: Tracer): Tracer => y.mul(y).sum().mul(0.5);

/** The exact adjoint for a solver, asked for as much as float32 can give. */
function exactFor(solver: Solver | undefined): SolverAndAdjoint {
  if (solver?.kind === "causal") {
    const locally = gmres({ maxSteps: 60, restart: 60 });
    return { solver, adjoint: throughTime({ local: "implicit", solver: locally, unsolved: "keep", maxGain: 1e6 }) };
  }
  const adjoint = implicit({ solver: gmres({ maxSteps: 600, restart: 60 }), unsolved: "keep" });
  return solver === undefined ? { adjoint } : { solver, adjoint };
}

/** What is differentiated by: trees of tracers, which tracing leaves as they are, though the compiler cannot know. */
interface Arguments<Params> {
  readonly params: Params;
  readonly x: Tracer;
}

interface Gradient<Params> {
  readonly grad: Arguments<Params>;
  readonly forward: SolveStats;
  readonly adjoint: AdjointStats | null;
}

function gradientBy<Params, Theta>(
  layer: OpenLayer<Params, Theta>,
  params: Params,
  x: Tracer,
  loss: (y: Tracer) => Tracer,
  choice: SolverAndAdjoint,
): Gradient<Params> {
  const run = valueGradAndAdjoint<Arguments<Params>, [], { readonly loss: Tracer; readonly stats: SolveStats }>(
    (traced) => {
      const given = traced as unknown as Arguments<Params>;
      const { problem, theta, y0, readout } = layer.parts(given.params, given.x);
      const { y, stats } = fixedPoint(problem, y0, theta, choice);
      return { loss: loss(readout(y).y), stats };
    },
  );
  const { value, grad, adjoint } = run({ params, x });
  return {
    grad: grad as unknown as Arguments<Params>,
    forward: value.stats,
    adjoint: adjoint[0] ?? null,
  };
}

/** <g, e>, <g, g> and <e, e>. */
type Products = readonly [Tracer, Tracer, Tracer];

function productsOf(g: Tracer, e: Tracer): Products {
  return [g.mul(e).sum(), g.mul(g).sum(), e.mul(e).sum()];
}

function addProducts(a: Products, b: Products): Products {
  return [a[0].add(b[0]), a[1].add(b[1]), a[2].add(b[2])];
}

function biasOf([both, own, exact]: Products): Bias {
  const same = own.equal(0).and(exact.equal(0));
  const either = own.equal(0).or(exact.equal(0));
  const cosine = both.div(where(either, 1, own.sqrt().mul(exact.sqrt())));
  return { cosine: where(same, 1, cosine), normRatio: where(same, 1, own.div(exact).sqrt()) };
}
