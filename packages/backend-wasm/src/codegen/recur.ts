/** Linear recurrences: rows in the order of time, channels across lanes, the previous row in scratch memory that stays in L1. */
import type { Access, RecurKernel, Store } from "@banach/autograd/backend";
import { loadLanes } from "../contract/emit-loops.ts";
import { type Expr, f32x4, type FunctionBuilder } from "../wasm/index.ts";
import { accessesOf, groupAxes, mapAll, regroup } from "./collapse.ts";
import { divided, divisionOf } from "./divide.ts";
import { type Address, LaneEmitter, storeLanes } from "./emitter.ts";
import type { KernelBody, KernelHost } from "./kernel-host.ts";
import { Nest } from "./nest.ts";
import { copiesFor } from "./unroll.ts";

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
  // The row of states is dense, and stays where it is from one step of time to the next.
  const stateStrides = sizes.map((_, axis) =>
    axis > timeAxis ? 4 * sizes.slice(axis + 1).reduce((size, inner) => size * inner, 1) : 0,
  );
  const width = lane === undefined ? 1 : (sizes[lane] ?? 1);
  const copies = copiesFor([a, b, ...stores.map(({ value }) => value)], Math.floor(width / 4));
  const scratch = host.layout.scratch();
  const divisible = sizes.map((_, axis) => axis).filter((axis) => axis !== timeAxis);
  const division = divisionOf(host.team, sizes, divisible, lane);
  const write = (f: FunctionBuilder): void => {
    const row = f.let(scratch(Math.max(16, rowBytes)));
    const nest = new Nest(f, host.layout, [a, b], stores);
    const state = nest.add(row, stateStrides);
    const { spans, lanes: run } = divided(f, host.team, sizes, division, lane);
    nest.loops(
      spans,
      outer.map((_, axis) => axis),
      () => {
        f.memory.fill(row, 0, rowBytes);
        nest.loop(timeAxis, length, 1, () => {
          nest.loops(spans, innerAxes.slice(0, -1), () => {
            const point = (lanes: number): void => {
              const options = { locator: nest, math: host.math, axis: lane ?? -1, lanes };
              f.scope(() => {
                step(f, nest.at(state), lanes, new LaneEmitter(f, options), (accumulated) => {
                  new LaneEmitter(f, { ...options, accumulated }).storeAll(stores);
                });
              });
            };
            nest.lanes(lane, width, point, { ...run, copies });
          });
        });
      },
    );
  };
  return { write, shared: division !== null };

  function step(
    f: FunctionBuilder,
    at: Address,
    lanes: number,
    emitter: LaneEmitter,
    finish: (h: Expr<"v128">) => void,
  ): void {
    const before = loadLanes(at.pointer, at.offset, lanes);
    const h = f.let(f32x4.add(f32x4.mul(emitter.value(a), before), emitter.value(b)));
    storeLanes(f, at, h, lanes);
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
