/** Linear recurrences: rows in the order of time, channels across lanes, the previous row in scratch memory that stays in L1. */
import type { Access, RecurKernel, Store } from "@banach/autograd/backend";
import { type Expr, f32x4, type FunctionBuilder, i32, v128 } from "../wasm/index.ts";
import { accessesOf, groupAxes, mapAll, regroup } from "./collapse.ts";
import { LaneEmitter } from "./emitter.ts";
import type { KernelBody, KernelHost } from "./kernel-host.ts";
import { Nest } from "./nest.ts";

export function recurBody(kernel: RecurKernel, host: KernelHost): KernelBody {
  const { shape, axis: time } = kernel;
  const length = shape[time] ?? 0;
  const run = kernel.reverse ? reversed(kernel, length) : kernel;
  const accesses = accessesOf([run.a, run.b], run.stores);
  const axes = shape.map((_, axis) => axis);
  const outer = groupAxes(shape, axes.slice(0, time), accesses);
  const inner = groupAxes(shape, axes.slice(time + 1), accesses);
  const { sizes, access } = regroup(shape, [...outer, [time], ...inner]);
  const { expressions, stores } = mapAll([run.a, run.b], run.stores, access);
  const [a = run.a, b = run.b] = expressions;
  const timeAxis = outer.length;
  const innerAxes = inner.map((_, i) => timeAxis + 1 + i);
  const lane = innerAxes.at(-1);
  const rowBytes = 4 * innerAxes.reduce((size, axis) => size * (sizes[axis] ?? 1), 1);
  const scratch = host.layout.scratch();
  return (f) => {
    const row = f.let(scratch(Math.max(16, rowBytes)));
    const nest = new Nest(f, host.layout, [a, b], stores);
    const state = f.local("i32", row);
    nest.loops(
      sizes,
      outer.map((_, axis) => axis),
      () => {
        f.memory.fill(row, 0, rowBytes);
        nest.loop(timeAxis, length, 1, () => {
          f.set(state, row);
          nest.loops(sizes, innerAxes.slice(0, -1), () => {
            nest.lanes(lane, lane === undefined ? 1 : (sizes[lane] ?? 1), (lanes) => {
              f.scope(() => {
                step(
                  f,
                  state,
                  lanes,
                  new LaneEmitter(f, { locator: nest, math: host.math, axis: lane ?? -1, lanes }),
                  (accumulated) => {
                    new LaneEmitter(f, {
                      locator: nest,
                      math: host.math,
                      axis: lane ?? -1,
                      lanes,
                      accumulated,
                    }).storeAll(stores);
                  },
                );
              });
              f.set(state, i32.add(state, 4 * lanes));
            });
          });
        });
      },
    );
  };

  function step(
    f: FunctionBuilder,
    at: Expr<"i32">,
    lanes: number,
    emitter: LaneEmitter,
    finish: (h: Expr<"v128">) => void,
  ): void {
    const before = lanes === 4 ? v128.load(at) : v128.load32_zero(at);
    const h = f.let(f32x4.add(f32x4.mul(emitter.value(a), before), emitter.value(b)));
    if (lanes === 4) f.v128.store(at, h);
    else f.v128.store32_lane(at, h, 0);
    finish(h);
  }
}

/** The same kernel with time counted from the end. */
function reversed(kernel: RecurKernel, length: number): RecurKernel {
  const flip = (access: Access): Access => {
    const stride = access.strides[kernel.axis] ?? 0;
    return {
      ...access,
      offset: access.offset + Math.max(0, length - 1) * stride,
      strides: access.strides.map((s, axis) => (axis === kernel.axis ? -s : s)),
    };
  };
  const { expressions, stores } = mapAll([kernel.a, kernel.b], kernel.stores, flip);
  const [a = kernel.a, b = kernel.b] = expressions;
  return { ...kernel, a, b, stores: stores satisfies readonly Store[] };
}
