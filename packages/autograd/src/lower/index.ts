/** The lowering library: graphs to programs of fused kernels, with a memory plan. It knows no backend. */
export { type Access, type LoopCounter, reshaped, wholeOf, withStrides } from "./access.ts";
export { accessesOf, groupAxes, mapAll, regroup } from "./collapse.ts";
export {
  type Apply,
  buffersOf,
  childrenOf,
  costOf,
  type Expression,
  type Gather,
  mapAccess,
  type ProgramBuffer,
  type RandomBits,
  type Read,
  rewriteExpression,
  type ScalarOperation,
  visitExpression,
} from "./expression.ts";
export { forCaches, lower, type Schedule } from "./lower.ts";
export { type MemoryPlan, type Places, planLocals, planMemory, type PlanOptions } from "./memory-plan.ts";
export { printProgram } from "./print-program.ts";
export { planReduce, type ReducePlan } from "./reduce-plan.ts";
export { substituteBuffers } from "./substitute.ts";
export { FEW_WORKGROUPS, forWorkgroups, MANY_WORKGROUPS, type WorkgroupLimits } from "./workgroups.ts";
export {
  type Combine,
  type ContractKernel,
  expressionsOf,
  type ForLoop,
  isKernel,
  type Kernel,
  type MapKernel,
  operandsOf,
  type Program,
  readBy,
  type RecurKernel,
  type ReduceKernel,
  type ScatterKernel,
  type Step,
  type Store,
  visitSteps,
  type WhileLoop,
  workOf,
  writtenBy,
} from "./program.ts";
