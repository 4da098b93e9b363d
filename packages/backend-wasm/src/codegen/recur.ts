/** Linear recurrences: rows in the order of time, channels across lanes, the previous row in scratch memory that stays in L1. */
import {
  accessesOf,
  groupAxes,
  mapAll,
  regroup,
  type Access,
  type Expression,
  type RecurKernel,
  type Store,
} from "@banach/autograd/backend";
import { loadLanes } from "../contract/emit-loops.ts";
import { type Expr, f32x4, type FunctionBuilder } from "../wasm/index.ts";
import { divided, divisionOf } from "./divide.ts";
import { type Address, LaneEmitter, storeLanes } from "./emitter.ts";
import type { KernelBody, KernelHost } from "./kernel-host.ts";
import { Nest } from "./nest.ts";
import { copiesFor } from "./unroll.ts";

/** The kernel's loops: axes before time, time, then those along which a row lies, the lanes last. */
interface Plan {
  readonly sizes: readonly number[];
  readonly time: number;
  readonly a: Expression;
  readonly b: Expression;
  readonly stores: readonly Store[];
}

function planOf(kernel: RecurKernel): Plan {
  const { shape, axis: time } = kernel;
  const accesses = accessesOf([kernel.a, kernel.b], kernel.stores);
  const axes = shape.map((_, axis) => axis);
  const outer = groupAxes(shape, axes.slice(0, time), accesses);
  const inner = groupAxes(shape, axes.slice(time + 1), accesses);
  const { sizes, access } = regroup(shape, [...outer, [time], ...inner]);
  const plan = moved({ sizes, time: outer.length, a: kernel.a, b: kernel.b, stores: kernel.stores }, access);
  return kernel.reverse ? backwards(plan) : plan;
}

function moved(plan: Plan, access: (access: Access) => Access): Plan {
  const { expressions, stores } = mapAll([plan.a, plan.b], plan.stores, access);
  const [a = plan.a, b = plan.b] = expressions;
  return { ...plan, a, b, stores };
}

/**
 * Time from its end, and with it all of a row but the order in a vector: memory is then run through from its end to its
 * start, which the hardware foresees. Rows read forwards, each before the last, take up to 3.7 times as long.
 */
function backwards(plan: Plan): Plan {
  const { time } = plan;
  const width = plan.sizes.length - 1 > time ? (plan.sizes.at(-1) ?? 1) : 1;
  const whole = width % 4 === 0;
  const sizes = whole ? [...plan.sizes.slice(0, -1), width / 4, 4] : plan.sizes;
  const access = (given: Access): Access => {
    const last = given.strides.at(-1) ?? 0;
    const strides = whole ? [...given.strides.slice(0, -1), 4 * last, last] : [...given.strides];
    let { offset } = given;
    for (let axis = time; axis < (whole ? sizes.length - 1 : time + 1); axis++) {
      const stride = strides[axis] ?? 0;
      offset += Math.max(0, (sizes[axis] ?? 1) - 1) * stride;
      strides[axis] = 0 - stride;
    }
    return { ...given, offset, strides };
  };
  return moved({ ...plan, sizes }, access);
}

export function recurBody(kernel: RecurKernel, host: KernelHost): KernelBody {
  const { sizes, time, a, b, stores } = planOf(kernel);
  const length = sizes[time] ?? 0;
  const all = sizes.map((_, axis) => axis);
  const inner = all.slice(time + 1);
  const lane = inner.at(-1);
  const width = lane === undefined ? 1 : (sizes[lane] ?? 1);
  const rowSize = inner.reduce((size, axis) => size * (sizes[axis] ?? 1), 1);
  // The row of states is dense, and stays where it is from one step of time to the next.
  const stateStrides = all.map((axis) =>
    axis > time ? 4 * sizes.slice(axis + 1).reduce((size, inner) => size * inner, 1) : 0,
  );
  const copies = copiesFor([a, b, ...stores.map(({ value }) => value)], Math.floor(rowSize / 4));
  const scratch = host.layout.scratch();
  const divisible = all.filter((axis) => axis !== time);
  const division = divisionOf(host.team, sizes, divisible, lane);
  const write = (f: FunctionBuilder): void => {
    const row = f.let(scratch(Math.max(16, 4 * rowSize)));
    const nest = new Nest(f, host.layout, [a, b], stores);
    const state = nest.add(row, stateStrides);
    const { spans, lanes: run } = divided(f, host.team, sizes, division, lane);
    const point = (lanes: number): void => {
      const options = { locator: nest, math: host.math, axis: lane ?? -1, lanes };
      f.scope(() => {
        step(f, nest.at(state), lanes, new LaneEmitter(f, options), (accumulated) => {
          new LaneEmitter(f, { ...options, accumulated }).storeAll(stores);
        });
      });
    };
    nest.loops(spans, all.slice(0, time), () => {
      f.memory.fill(row, 0, 4 * rowSize);
      nest.loop(time, length, 1, () => {
        const vectors = (): void => {
          nest.lanes(lane, width, point, { ...run, copies });
        };
        nest.loops(spans, inner.slice(0, -1), vectors, width === 4 ? copies : 1);
      });
    });
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
