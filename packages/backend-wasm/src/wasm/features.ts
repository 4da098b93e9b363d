/** The WebAssembly features that a module may need beyond the first version; no detection here. */

/** Which features an engine has, or a module may use. */
export interface Features {
  /** 128-bit vectors. */
  readonly simd: boolean;
  /** Vector instructions whose result may differ between machines, among them the fused multiply-add. */
  readonly relaxedSimd: boolean;
  /** Shared memory and atomic instructions. */
  readonly threads: boolean;
  /** `memory.copy`, `memory.fill` and passive data segments. */
  readonly bulkMemory: boolean;
  /** `trunc_sat`: float to integer that saturates instead of trapping. */
  readonly saturatingConversions: boolean;
  /** `extend8_s` and its like. */
  readonly signExtension: boolean;
  /** Functions with several results. */
  readonly multiValue: boolean;
}

export type Feature = keyof Features;
