/** @banach/backend-wasm: programs as WebAssembly modules with SIMD, written at run time. */
import { Device } from "@banach/autograd";
import { wasmBackend, type WasmOptions } from "./runtime/backend.ts";

export { wasmBackend, type WasmOptions } from "./runtime/backend.ts";
export type { Grain } from "./codegen/cost.ts";
export type { Features } from "./wasm/features.ts";
export { probeFeatures, type ProbedFeatures } from "./wasm/probe.ts";

/** Starts the backend. Rejects with BackendUnavailableError, saying what is missing, where it cannot run. */
export async function wasm(options: WasmOptions = {}): Promise<Device> {
  return new Device(await wasmBackend(options));
}
