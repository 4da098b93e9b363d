/** Adjoints: one file and one line each. */
export type { Adjoint, CausalAdjoint, ParallelAdjoint } from "./adjoint.ts";
export { implicit, type ImplicitOptions } from "./implicit.ts";
export { neumann, type NeumannOptions } from "./neumann.ts";
export { valueGradAndAdjoint, type ValueGradAndAdjoint } from "./report.ts";
export { ADJOINT_STATUSES, type AdjointStats, type AdjointStatus, type Unsolved } from "./stats.ts";
export { throughTime, type ThroughTimeOptions } from "./through-time.ts";
export { truncated } from "./truncated.ts";
export { unrolled, type UnrolledOptions } from "./unrolled.ts";
