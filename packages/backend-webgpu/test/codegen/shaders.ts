/** The shaders of programs, to be looked at without running them. */
import { forWorkgroups, type Graph, lower } from "@banach/autograd/backend";
import { type Action, writeProgram } from "../../src/codegen/program-shaders.ts";
import type { Shader, ShaderLimits, Tuning } from "../../src/codegen/shader-writer.ts";

/** Limits of any device. */
export const limitsOf = (tuning: Tuning): ShaderLimits => ({
  storageBuffers: 8,
  invocations: 256,
  subgroup: 1,
  workgroupBytes: 16384,
  workgroupsPerDimension: 65535,
  tuning,
});

/** In the order of the program, those of loops of the host each once. */
export function shadersOf(graph: Graph, limits: ShaderLimits): readonly Shader[] {
  const inside = (actions: readonly Action[]): readonly Shader[] =>
    actions.flatMap((action) => {
      if (action.kind === "dispatch") return [action.shader];
      if (action.kind === "copy") return [];
      return inside(action.kind === "for" ? action.body : [...action.test, ...action.body]);
    });
  return inside(writeProgram(lower(graph, forWorkgroups(limits.tuning.rows)), limits, 2 ** 27).actions);
}
