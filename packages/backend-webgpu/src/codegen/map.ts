/** Maps: one invocation per point. */
import { accessesOf, groupAxes, type MapKernel, mapAll, regroup, sizeOf } from "@banach/autograd/backend";
import { PointWriter, splitIndex } from "./point-writer.ts";
import { eachPoint, type Scope } from "./scope.ts";
import type { ShaderWriter } from "./shader-writer.ts";

/** Returns the workgroups needed. */
export function writeMap(w: ShaderWriter, kernel: MapKernel, scope: Scope): number {
  const axes = kernel.shape.map((_, axis) => axis);
  const { sizes, access } = regroup(kernel.shape, groupAxes(kernel.shape, axes, accessesOf([], kernel.stores)));
  const { stores } = mapAll([], kernel.stores, access);
  return eachPoint(w, scope, sizeOf(sizes), (index) => {
    new PointWriter(w, splitIndex(w, index, sizes)).storeAll(stores);
  });
}
