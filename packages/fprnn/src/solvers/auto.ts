/** The solver that the shape of the problem and the kind of machine suggest. */
import { stopGradient } from "@banach/autograd";
import { requireOneOf, requirePositiveInteger } from "../options.ts";
import { chunked } from "./chunked.ts";
import { picard } from "./picard.ts";
import { sequential } from "./sequential.ts";
import { type CausalSolver, requireTolerances, type Solver, type SolverOptions } from "./solver.ts";
import { requireTrace } from "./trace.ts";

export interface AutoOptions extends SolverOptions {
  /**
   * "sequential", the default: few cores, as the reference and WASM have, whose time is the number of operations.
   * "parallel": a GPU, whose time is the number of operations that wait for each other.
   */
  readonly prefers?: "sequential" | "parallel";
  /** With "parallel": steps of sequences that the machine works on at once; default 1024. */
  readonly width?: number;
}

/** Of y [batch, time, channel]; static, so that a program has one solver. */
export interface SolveShape {
  readonly batch: number;
  readonly time: number;
}

export interface AutoSolver extends CausalSolver {
  /** What is used for sequences of a shape; its `name` says which it is. */
  readonly choose: (shape: SolveShape) => Solver;
}

/**
 * A pure function of the options and of static shapes. With "sequential": `sequential`, whose work is the least. With
 * "parallel": as many steps at once as fill the machine besides the batch, c = ceil(width / batch); `sequential` if that is
 * one step, `picard` if it is all of them, and `chunked({ chunk: c })` between the two. Needs a causal problem, whatever it
 * chooses, so it goes with every adjoint. Defaults: tol 0.03, maxSteps 100. Throws ArgumentError for options outside their
 * domain.
 */
export function auto(options: AutoOptions = {}): AutoSolver {
  const tolerances = requireTolerances("auto", options, { tol: 0.03, maxSteps: 100 });
  const { prefers = "sequential", width = 1024, trace = false } = options;
  requireOneOf("auto: prefers", prefers, ["sequential", "parallel"]);
  requirePositiveInteger("auto: width", width);
  requireTrace("auto", trace);
  const choose: AutoSolver["choose"] = ({ batch, time }) => {
    const chunk = prefers === "sequential" ? 1 : Math.ceil(width / Math.max(1, batch));
    const all = { ...tolerances, trace };
    if (chunk === 1) return sequential(all);
    return chunk >= time ? picard(all) : chunked({ ...tolerances, chunk, solver: picard(all) });
  };
  const solve: CausalSolver["solve"] = (problem, y0, theta) =>
    // A causal problem is a problem, so both kinds take it.
    choose({ batch: y0.dim(0), time: y0.dim(1) }).solve(problem, y0, theta);
  return {
    kind: "causal",
    name: `auto(${prefers})`,
    ...tolerances,
    trace,
    choose,
    with: (changed) => auto({ ...options, ...tolerances, ...changed }),
    solve,
    start: (problem, y0, theta) => {
      const isSweep = choose({ batch: y0.dim(0), time: y0.dim(1) }).name === "sequential";
      return isSweep ? y0 : stopGradient(solve(problem, y0, theta).y);
    },
  };
}
