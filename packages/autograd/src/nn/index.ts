/** Layers as pure functions: `init` makes plain nested parameters, `apply` is traced. No layer holds state. */
export { gelu, silu, softplus } from "./activation.ts";
export {
  causalConv,
  type CausalConvInit,
  type CausalConvParams,
  type CausalConvResult,
  type CausalConvStateInit,
} from "./causal-conv.ts";
export { embedding, type EmbeddingInit, type EmbeddingParams } from "./embedding.ts";
export { linear, type LinearInit, type LinearParams, weightNormLinear, type WeightNormLinearParams } from "./linear.ts";
export { type CrossEntropyOptions, softmaxCrossEntropy } from "./loss.ts";
export {
  initNorm,
  l2Normalize,
  type L2NormalizeOptions,
  layerNorm,
  type LayerNormOptions,
  type NormInit,
  type NormParams,
  rmsNorm,
  type RmsNormOptions,
} from "./normalization.ts";
export { logSoftmax, logSumExp, type LogSumExpOptions, softmax, type SoftmaxOptions } from "./softmax.ts";
