/** Layers: one file and one line each. */
export { fpRnn, type FpRnnLayer, type FpRnnOptions, type FpRnnParts } from "./fp-rnn.ts";
export type { FpRnnConvState, FpRnnParams, FpRnnState } from "./fp-rnn-params.ts";
export type { FpRnnTheta } from "./fp-rnn-problem.ts";
export type { Layer, LayerResult, ParamsOf } from "./layer.ts";
export { selectiveScan, type SelectiveScanInputs } from "./selective-scan.ts";
