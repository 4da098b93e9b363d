/** Map kernels: one nest over the points, lanes along the last axis. */
import { accessesOf, groupAxes, mapAll, regroup, type MapKernel } from "@banach/autograd/backend";
import type { FunctionBuilder } from "../wasm/index.ts";
import { divided, divisionOf } from "./divide.ts";
import { LaneEmitter } from "./emitter.ts";
import type { KernelBody, KernelHost } from "./kernel-host.ts";
import { Nest } from "./nest.ts";
import { copiesFor } from "./unroll.ts";

export function mapBody(kernel: MapKernel, host: KernelHost): KernelBody {
  const axes = kernel.shape.map((_, axis) => axis);
  const groups = groupAxes(kernel.shape, axes, accessesOf([], kernel.stores));
  const { sizes, access } = regroup(kernel.shape, groups);
  const { stores } = mapAll([], kernel.stores, access);
  const all = sizes.map((_, axis) => axis);
  const lane = all.at(-1);
  const length = lane === undefined ? 1 : (sizes[lane] ?? 1);
  const values = stores.map(({ value }) => value);
  const copies = copiesFor(values, Math.floor(length / 4));
  const division = divisionOf(host.team, sizes, all, lane);
  const write = (f: FunctionBuilder): void => {
    const nest = new Nest(f, host.layout, [], stores);
    const { spans, lanes: run } = divided(f, host.team, sizes, division, lane);
    const point = (lanes: number): void => {
      f.scope(() => {
        new LaneEmitter(f, { locator: nest, math: host.math, axis: lane ?? -1, lanes }).storeAll(stores);
      });
    };
    nest.loops(spans, all.slice(0, -1), () => {
      nest.lanes(lane, length, point, { ...run, copies });
    });
  };
  return { write, shared: division !== null };
}
