/** Which features the engine offers, found by validating tiny modules; nothing is compiled or run. */
import type { Features } from "./features.ts";
import type { FunctionBuilder } from "./function-builder.ts";
import { f32x4, i32, i32x4 } from "./instruction-sets.ts";
import { ModuleBuilder } from "./module-builder.ts";
import { webAssembly } from "./web-assembly.ts";

/** What the engine offers. */
export interface ProbedFeatures extends Features {
  /**
   * Whether a shared memory can be given to other threads. Browsers have the instructions (`threads`) everywhere, and
   * `SharedArrayBuffer` only in pages that are cross-origin isolated.
   */
  readonly sharedMemory: boolean;
}

/** Whether the engine accepts a function with this body, in a module with a memory. */
function accepts(body: (f: FunctionBuilder) => void, shared = false): boolean {
  const m = new ModuleBuilder();
  m.memory({ min: 1, max: 1, shared });
  m.func("probe", [], [], body);
  return webAssembly()?.validate(m.build({ names: false })) ?? false;
}

function acceptsTwoResults(): boolean {
  const m = new ModuleBuilder();
  m.func("probe", [], ["i32", "i32"], () => [0, 0]);
  return webAssembly()?.validate(m.build({ names: false })) ?? false;
}

/** Asks the engine; all false where there is no WebAssembly. Takes well under a millisecond. */
export function probeFeatures(): ProbedFeatures {
  const threads = accepts((f) => void f.i32.atomic_load(0), true);
  return {
    simd: accepts((f) => void f.let(i32x4.splat(0))),
    relaxedSimd: accepts((f) => {
      const x = f.let(f32x4.splat(0));
      f.let(f32x4.relaxed_madd(x, x, x));
    }),
    threads,
    sharedMemory: threads && typeof SharedArrayBuffer !== "undefined",
    bulkMemory: accepts((f) => f.memory.copy(0, 0, 0)),
    saturatingConversions: accepts((f) => void f.let(i32.trunc_sat_f32_s(0))),
    signExtension: accepts((f) => void f.let(i32.extend8_s(0))),
    multiValue: acceptsTwoResults(),
  };
}
