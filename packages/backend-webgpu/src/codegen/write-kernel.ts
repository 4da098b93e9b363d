/** Any kernel, by those who write its kind. */
import { type Kernel, type ProgramBuffer, writtenBy } from "@banach/autograd/backend";
import { writeContract } from "./contract.ts";
import { quadsOfMap, writeMap } from "./map.ts";
import { vectorsOf } from "./quads.ts";
import { writeRecur } from "./recur.ts";
import { writeReduce } from "./reduce.ts";
import { writeScatter } from "./scatter.ts";
import type { Scope } from "./scope.ts";
import type { ShaderLimits, ShaderWriter } from "./shader-writer.ts";

/** Writes a kernel into a shader; returns the workgroups needed. */
export function writeKernel(w: ShaderWriter, kernel: Kernel, scope: Scope): number {
  switch (kernel.kind) {
    case "map":
      return writeMap(w, kernel, scope);
    case "reduce":
      return writeReduce(w, kernel, scope);
    case "contract":
      return writeContract(w, kernel, scope);
    case "recur":
      return writeRecur(w, kernel, scope);
    case "scatter":
      return writeScatter(w, kernel);
    default:
      return kernel satisfies never;
  }
}

/** Buffers that a dispatch of one kernel had better bind as arrays of vectors. */
export function vectorsIn(kernel: Kernel, limits: ShaderLimits): ReadonlySet<ProgramBuffer> {
  if (kernel.kind !== "map") return new Set();
  return vectorsOf([{ use: quadsOfMap(kernel, limits), written: writtenBy(kernel) }]);
}
