/** Optimisers as values: pure functions on trees of parameters, gradients and state. */
export { adamw, type AdamWOptions, decayAllButNorms } from "./adamw.ts";
export { clipByGlobalNorm, type Clipped, globalNorm } from "./clip.ts";
export type { LeafOf, Optimizer, OptimizerState, Updated } from "./optimizer.ts";
export {
  constant,
  cosine,
  type DecayOptions,
  type LearningRate,
  linearDecay,
  type Schedule,
  warmup,
} from "./schedule.ts";
export { sgd, type SgdOptions } from "./sgd.ts";
