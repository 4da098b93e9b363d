/** The package's entry: for now the feature probe; the backend is built on the writer in `wasm/`. */
export { probeFeatures } from "./wasm/probe.ts";
export type { Features } from "./wasm/features.ts";
