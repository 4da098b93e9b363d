/** Training and evaluation of sequence models on tasks. */
export type { Carried, CarryOptions } from "./carry.ts";
export { evaluate, type EvaluateOptions, type EvaluationRow, tolerances, type Variant } from "./evaluate.ts";
export {
  curriculum,
  type CurriculumOptions,
  fixed,
  type LengthSchedule,
  type LengthState,
  uniform,
} from "./lengths.ts";
export type { Measures, TracedBatch } from "./measures.ts";
export type { ModelOutput, Params, SequenceModel } from "./model.ts";
export { initialState, streamKey, type TrainCounters, type TrainState } from "./state.ts";
export { readReport, type StepOptions, type StepReport, type StepResult, trainStep } from "./step.ts";
export { type StepEvent, type StopReason, type Target, train, type TrainOptions, type TrainResult } from "./train.ts";
