/**
 * Relaxed SIMD, which Node 20 has behind a flag. The flag is on only while something that is meant to use it is compiled:
 * jax-js looks for fused multiply-add by itself, and is compared with what we do in base SIMD.
 */
import { setFlagsFromString } from "node:v8";
import { probeFeatures } from "@banach/backend-wasm";

const flag = "experimental-wasm-relaxed-simd";

/** Programs compiled meanwhile may use relaxed SIMD, if the engine has it at all. */
export async function withRelaxedSimd<T>(work: () => T | Promise<T>): Promise<T> {
  if (probeFeatures().relaxedSimd) return work();
  setFlagsFromString(`--${flag}`);
  try {
    return await work();
  } finally {
    setFlagsFromString(`--no-${flag}`);
  }
}

export const offersRelaxedSimd = (): Promise<boolean> => withRelaxedSimd(() => probeFeatures().relaxedSimd);
