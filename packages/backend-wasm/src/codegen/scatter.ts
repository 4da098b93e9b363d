/** Scatter: points in order, so that repeated indices add up the same way everywhere; in lanes where they have one index. */
import { accessesOf, groupAxes, mapAll, regroup, type ScatterKernel } from "@banach/autograd/backend";
import { loadLanes } from "../contract/emit-loops.ts";
import { f32x4, type FunctionBuilder, i32, i32x4 } from "../wasm/index.ts";
import { LaneEmitter, storeLanes, variesAlong } from "./emitter.ts";
import type { KernelBody, KernelHost } from "./kernel-host.ts";
import { Nest } from "./nest.ts";
import { copiesFor } from "./unroll.ts";

export function scatterBody(kernel: ScatterKernel, host: KernelHost): KernelBody {
  const { shape, buffer, stride, limit } = kernel;
  const target = { buffer, access: kernel.access, value: kernel.value };
  const axes = shape.map((_, axis) => axis);
  const { sizes, access } = regroup(shape, groupAxes(shape, axes, accessesOf([kernel.index], [target])));
  const { expressions, stores } = mapAll([kernel.index], [target], access);
  const [index = kernel.index] = expressions;
  const [{ value, access: place } = target] = stores;
  const all = sizes.map((_, axis) => axis);
  const last = all.at(-1);
  const lane = last !== undefined && place.strides[last] === 1 && !variesAlong(index, last) ? last : undefined;
  const width = lane === undefined ? 1 : (sizes[lane] ?? 1);
  const copies = copiesFor([value], Math.floor(width / 4));
  const write = (f: FunctionBuilder): void => {
    const nest = new Nest(f, host.layout, [index], stores);
    const emitter = (axis: number, lanes: number) =>
      new LaneEmitter(f, { locator: nest, math: host.math, axis, lanes });
    nest.loops(sizes, lane === undefined ? all : all.slice(0, -1), () => {
      f.scope(() => {
        const at = f.let(i32x4.extract_lane(emitter(-1, 1).value(index), 0));
        // Unsigned: a negative index is a large one, and dropped too.
        f.if_(i32.lt_u(at, limit), () => {
          const distance = f.let(i32.mul(at, stride * 4));
          const point = (lanes: number): void => {
            f.scope(() => {
              const added = emitter(lane ?? -1, lanes).value(value);
              const { pointer, offset } = nest.address(buffer, place);
              const address = { pointer: f.let(i32.add(pointer, distance)), offset };
              const before = loadLanes(address.pointer, offset, lanes);
              const sum = buffer.dtype === "float32" ? f32x4.add(before, added) : i32x4.add(before, added);
              storeLanes(f, address, sum, lanes);
            });
          };
          nest.lanes(lane, width, point, { copies });
        });
      });
    });
  };
  return { write, shared: false };
}
