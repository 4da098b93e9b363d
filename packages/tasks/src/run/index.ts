/** Run folders: what a training run leaves behind, and how it is read again. */
export { type AdjointConfig, type AdjointName, ADJOINTS, STEPPED, SWEPT } from "./adjoint-config.ts";
export { decodeCheckpoint, encodeCheckpoint } from "./checkpoint.ts";
export {
  type BackendRecord,
  CONFIG_VERSION,
  type FixedPointModel,
  type FixedPointPlan,
  isFixedPoint,
  type LayerConfig,
  type LengthsConfig,
  type ModelConfig,
  type OptimizerConfig,
  parseConfig,
  type RunConfig,
  type RunPlan,
} from "./config.ts";
export type { EvaluationLine, MetricsLine, ResumeLine, StepLine, StopLine } from "./metrics.ts";
export {
  type ExpertConfig,
  type ExpertName,
  EXPERTS,
  type MixerConfig,
  type MixerName,
  MIXERS,
  NORMALISATIONS,
} from "./mixer-config.ts";
export { readSafetensors, type ReadSafetensorsOptions } from "./read-safetensors.ts";
export { createRun, openRun, type RunFolder } from "./run-folder.ts";
export { type SafeTensors, writeSafetensors } from "./safetensors.ts";
export { loadWeights, saveWeights, type SaveWeightsOptions, type WeightsRecord } from "./weights-file.ts";
export { type Naming, NAMINGS } from "./weight-names.ts";
export { readWeights, type ReadWeightsOptions, writeWeights, type WriteWeightsOptions } from "./weights.ts";
export { type SolverConfig, type SolverName, SOLVERS } from "./solver-config.ts";
