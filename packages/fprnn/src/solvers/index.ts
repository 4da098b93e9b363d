/** Solvers: one file and one line each. */
export { anderson, type AndersonOptions } from "./anderson.ts";
export { auto, type AutoOptions, type AutoSolver, type SolveShape } from "./auto.ts";
export { chunked, type ChunkedOptions } from "./chunked.ts";
export { newton, type NewtonOptions } from "./newton.ts";
export { picard, type PicardOptions } from "./picard.ts";
export { depthScale, randomDepth, type RandomDepth, type RandomDepthOptions } from "./random-depth.ts";
export { sequential, type SequentialOptions } from "./sequential.ts";
export type {
  CausalSolver,
  Limits,
  LocalMethod,
  ParallelSolver,
  Solved,
  Solver,
  SolverOptions,
  Tolerances,
} from "./solver.ts";
export type { TraceOption } from "./trace.ts";
