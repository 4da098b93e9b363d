/** Layers: one file and one line each. */
export { fpMamba, type FpMambaLayer, type FpMambaOptions } from "./fp-mamba.ts";
export { fpMamba2, type FpMamba2Gating, type FpMamba2Layer, type FpMamba2Options } from "./fp-mamba-2.ts";
export type { FpMamba2Params } from "./fp-mamba-2-params.ts";
export type { FpMambaParts } from "./fp-mamba-layer.ts";
export type { FpMambaParams, FpMambaState } from "./fp-mamba-params.ts";
export type { FpMambaInputs, FpMambaTheta, FpMambaWeights } from "./fp-mamba-problem.ts";
export { fpRnn, type FpRnnLayer, type FpRnnOptions, type FpRnnParts } from "./fp-rnn.ts";
export type { FpRnnConvState, FpRnnParams, FpRnnState } from "./fp-rnn-params.ts";
export type { FpRnnTheta } from "./fp-rnn-problem.ts";
export type { HiddenDependence } from "./hidden.ts";
export type { Layer, LayerInit, LayerResult, LayerStats, LayerStep, ParamsOf } from "./layer.ts";
export { mamba, type MambaLayer, type MambaOptions } from "./mamba.ts";
export type { MambaParams, MambaState } from "./mamba-params.ts";
export { selectiveScan, type SelectiveScanInputs } from "./selective-scan.ts";
export { chunkedScan, type ChunkedScan, type ChunkedScanInputs } from "./ssd.ts";
