/** @banach/fprnn: fixed points as differentiable operations, and the layers and models built on them. */
export {
  type Adjoint,
  type CausalAdjoint,
  type ParallelAdjoint,
  throughTime,
  type ThroughTimeOptions,
  truncated,
} from "./adjoints/index.ts";
export {
  type CausalFixedPointOptions,
  fixedPoint,
  type FixedPointOptions,
  type SolverAndAdjoint,
  type Solution,
  solve,
  type SolveOptions,
} from "./fixed-point.ts";
export {
  type BoundMixer,
  householder,
  type HouseholderMixer,
  type HouseholderOptions,
  type HouseholderParams,
  type Mixer,
  type MixerArgument,
  type MixerParams,
  type MixerShape,
} from "./mixers/index.ts";
export { type Causal, type CausalProblem, causalProblem, type Problem } from "./problem.ts";
export {
  type CausalSolver,
  type ParallelSolver,
  picard,
  type PicardOptions,
  sequential,
  type Solved,
  type Solver,
  type Tolerances,
} from "./solvers/index.ts";
export { type SolveStats, type SolveStatus, STATUSES } from "./stats.ts";
export {
  fpMamba,
  type FpMambaInputs,
  type FpMambaLayer,
  type FpMambaOptions,
  type FpMambaParams,
  type FpMambaParts,
  type FpMambaState,
  type FpMambaTheta,
  type FpMambaWeights,
  fpRnn,
  type FpRnnConvState,
  type FpRnnLayer,
  type FpRnnOptions,
  type FpRnnParams,
  type FpRnnParts,
  type FpRnnState,
  type FpRnnTheta,
  type Layer,
  type LayerInit,
  type LayerResult,
  type LayerStats,
  mamba,
  type MambaLayer,
  type MambaOptions,
  type MambaParams,
  type MambaState,
  type ParamsOf,
  selectiveScan,
  type SelectiveScanInputs,
} from "./layers/index.ts";
export {
  type LanguageModel,
  languageModel,
  type LanguageModelOptions,
  type LanguageModelParams,
  type LanguageModelResult,
} from "./models/language-model.ts";
