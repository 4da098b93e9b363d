/** Scatter: points in order, one at a time, so that repeated indices add up the same way everywhere. */
import type { ScatterKernel } from "@banach/autograd/backend";
import { f32x4, type FunctionBuilder, i32, i32x4, v128 } from "../wasm/index.ts";
import { LaneEmitter } from "./emitter.ts";
import type { KernelBody, KernelHost } from "./kernel-host.ts";
import { Nest } from "./nest.ts";

export function scatterBody(kernel: ScatterKernel, host: KernelHost): KernelBody {
  const { shape, buffer, access, stride, limit, index, value } = kernel;
  const target = { buffer, access, value };
  const write = (f: FunctionBuilder): void => {
    const nest = new Nest(f, host.layout, [index, value], [target]);
    nest.loops(
      shape,
      shape.map((_, axis) => axis),
      () => {
        f.scope(() => {
          const emitter = new LaneEmitter(f, { locator: nest, math: host.math, axis: -1, lanes: 1 });
          const at = f.let(i32x4.extract_lane(emitter.value(index), 0));
          const added = emitter.value(value);
          // Unsigned: a negative index is a large one, and dropped too.
          f.if_(i32.lt_u(at, limit), () => {
            const { pointer, offset } = nest.address(buffer, access);
            const address = f.let(i32.add(pointer, i32.mul(at, stride * 4)));
            const before = v128.load32_zero(address, offset);
            const sum = buffer.dtype === "float32" ? f32x4.add(before, added) : i32x4.add(before, added);
            f.v128.store32_lane(address, sum, 0, offset);
          });
        });
      },
    );
  };
  return { write, shared: false };
}
