/** Any kernel, by those who write its kind. */
import { type Kernel, type ProgramBuffer, writtenBy } from "@banach/autograd/backend";
import { quadsOfContract, writeContract } from "./contract.ts";
import { quadsOfMap, writeMap } from "./map.ts";
import { NO_QUADS, type QuadUse, vectorsOf } from "./quads.ts";
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

/** Buffers that a dispatch of some kernels had better bind as arrays of vectors. */
export function vectorsIn(kernels: readonly Kernel[], scope: Scope, limits: ShaderLimits): ReadonlySet<ProgramBuffer> {
  return vectorsOf(kernels.map((kernel) => ({ use: quadsIn(kernel, scope, limits), written: writtenBy(kernel) })));
}

function quadsIn(kernel: Kernel, scope: Scope, limits: ShaderLimits): QuadUse {
  if (kernel.kind === "contract") return quadsOfContract(kernel, scope, limits);
  return kernel.kind === "map" && scope === "grid" ? quadsOfMap(kernel, limits) : NO_QUADS;
}
