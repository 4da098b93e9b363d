/** Reductions: lanes along the kept axis where that is contiguous, else along the reduced one with a fixed tree at the end. */
import { type Access, type Expression, planReduce, type ReduceKernel, visitExpression } from "@banach/autograd/backend";
import type { KernelBody, KernelHost } from "./kernel-host.ts";
import { lanesAlongKept } from "./reduce-kept.ts";
import { lanesAlongReduced } from "./reduce-lanes.ts";

/** Reads along an axis that are neither contiguous nor constant, and how many are contiguous. */
function contiguity(value: Expression, axis: number): { readonly strided: number; readonly contiguous: number } {
  let strided = 0;
  let contiguous = 0;
  const see = ({ strides }: Access): void => {
    const stride = strides[axis] ?? 0;
    if (stride === 1) contiguous++;
    else if (stride !== 0) strided++;
  };
  visitExpression(value, (node) => {
    if (node.kind === "read") see(node.access);
    if (node.kind === "gather") strided++;
  });
  return { strided, contiguous };
}

export function reduceBody(kernel: ReduceKernel, host: KernelHost): KernelBody {
  const plan = planReduce(kernel);
  const lastKept = plan.kept.at(-1);
  const lastReduced = plan.reduced.at(-1);
  const alongReduced =
    kernel.combine !== "argmax" &&
    lastReduced !== undefined &&
    (lastKept === undefined ||
      contiguity(plan.value, lastReduced).strided < contiguity(plan.value, lastKept).strided ||
      (plan.sizes[lastKept] ?? 0) < 4);
  return alongReduced ? lanesAlongReduced(kernel, plan, lastReduced, host) : lanesAlongKept(kernel, plan, host);
}
