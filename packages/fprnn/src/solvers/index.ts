/** Solvers: one file and one line each. */
export { picard, type PicardOptions } from "./picard.ts";
export { sequential } from "./sequential.ts";
export type { CausalSolver, ParallelSolver, Solved, Solver, Tolerances } from "./solver.ts";
