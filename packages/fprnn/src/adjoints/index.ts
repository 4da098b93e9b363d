/** Adjoints: one file and one line each. */
export type { Adjoint, CausalAdjoint, ParallelAdjoint } from "./adjoint.ts";
export { throughTime, type ThroughTimeOptions } from "./through-time.ts";
export { truncated } from "./truncated.ts";
