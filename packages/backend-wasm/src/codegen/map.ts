/** Map kernels: one nest over the points, lanes along the last axis. */
import type { MapKernel } from "@banach/autograd/backend";
import { accessesOf, groupAxes, mapAll, regroup } from "./collapse.ts";
import { LaneEmitter } from "./emitter.ts";
import type { KernelBody, KernelHost } from "./kernel-host.ts";
import { Nest } from "./nest.ts";

export function mapBody(kernel: MapKernel, host: KernelHost): KernelBody {
  const axes = kernel.shape.map((_, axis) => axis);
  const groups = groupAxes(kernel.shape, axes, accessesOf([], kernel.stores));
  const { sizes, access } = regroup(kernel.shape, groups);
  const { stores } = mapAll([], kernel.stores, access);
  const lane = sizes.length - 1;
  return (f) => {
    const nest = new Nest(f, host.layout, [], stores);
    const outer = sizes.map((_, axis) => axis).slice(0, -1);
    nest.loops(sizes, outer, () => {
      nest.lanes(lane < 0 ? undefined : lane, sizes[lane] ?? 1, (lanes) => {
        f.scope(() => {
          new LaneEmitter(f, { locator: nest, math: host.math, axis: lane, lanes }).storeAll(stores);
        });
      });
    });
  };
}
