/** The testing kit: samples of every primitive, the gradient audit, the conformance suite, planted faults, random graphs. */
export * from "./audit/index.ts";
export {
  absoluteWithin,
  type Budget,
  type Budgets,
  type ElementTolerance,
  gamma,
  strictBudgets,
  ulp,
  ulps,
  wgslBudgets,
} from "./conformance/budgets.ts";
export { ConformanceError } from "./conformance/compare.ts";
export {
  type Conformance,
  conformance,
  type ConformanceCase,
  conformanceCases,
  type ConformanceOptions,
  type OpenBackend,
  type PrimitiveErrors,
} from "./conformance.ts";
export { type Domain, generate } from "./data.ts";
export type { Fault, KernelFault, RuleFault } from "./faults/fault.ts";
export { withFault } from "./faults/kernel-faults.ts";
export {
  catchKernelFault,
  catchPlantedFaults,
  catchRuleFault,
  describeCatch,
  type FaultReport,
  plantedFaults,
  summarizeFaults,
} from "./faults.ts";
export { pullbackGraph, replacePrimitive, type Replacement, retype } from "./graph-tools.ts";
export { compareRandomGraph } from "./random-graphs/compare.ts";
export { type RandomGraph, randomGraph, type RandomGraphOptions } from "./random-graphs.ts";
export { type Sample, sampleData, sampleGraph, type SampleInput, type SampleTable } from "./sample.ts";
export { allSamples, type NamedSample, samples } from "./samples.ts";
