/** The gradient audit. */
export { type AuditOptions, auditVjp, reproducer, type SampleAudit, summarizeAudit } from "./audit.ts";
export { complexStep } from "./complex.ts";
export { ComplexStepRefused } from "./complex-scalar.ts";
export { type Derivative, ridders } from "./differences.ts";
export type { RungName, RungResult } from "./rungs.ts";
