/** Linear solvers: one file and one line each. */
export { gmres, type GmresOptions } from "./gmres.ts";
export { iteration } from "./iteration.ts";
export type { LinearSolved, LinearSolver } from "./linear-solver.ts";
