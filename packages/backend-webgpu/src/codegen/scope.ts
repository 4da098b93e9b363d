/** Who runs a kernel, and how its points are shared among them. */
import type { ShaderWriter } from "./shader-writer.ts";

/** A grid of workgroups of their own, or the one workgroup that runs an iteration of a loop. */
export type Scope = "grid" | "workgroup";

/** Runs the body at each of `count` points; no barrier may be in it. Returns the workgroups needed. */
export function eachPoint(w: ShaderWriter, scope: Scope, count: number, body: (index: string) => void): number {
  const { invocations, tuning } = w.limits;
  const index = w.fresh("p");
  if (scope === "grid") {
    const workgroups = Math.ceil(Math.min(count, tuning.most) / invocations);
    const lanes = w.groupsOf(workgroups) * invocations;
    if (count > lanes) {
      // Neighbours side by side.
      const first = w.let(`group * ${invocations}u + lane`, "p");
      w.block(`for (var ${index} = ${first}; ${index} < ${count}u; ${index} += ${lanes}u)`, () => {
        body(index);
      });
      return workgroups;
    }
    w.line(`let ${index} = group * ${invocations}u + lane;`);
    w.block(count === lanes ? "" : `if (${index} < ${count}u)`, () => {
      body(index);
    });
    return workgroups;
  }
  if (count === invocations) {
    w.block("", () => {
      body("lane");
    });
  } else if (count < invocations) {
    w.block(`if (lane < ${count}u)`, () => {
      body("lane");
    });
  } else {
    w.block(`for (var ${index} = lane; ${index} < ${count}u; ${index} += ${invocations}u)`, () => {
      body(index);
    });
  }
  return 1;
}
