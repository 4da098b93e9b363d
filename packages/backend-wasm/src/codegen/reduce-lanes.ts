/** Reductions along the axis of the lanes: each holds a part of a point, and they are combined at its end. */
import type { ReduceKernel, ReducePlan } from "@banach/autograd/backend";
import { type Expr, type FunctionBuilder, type Local, shuffle32x4 } from "../wasm/index.ts";
import { combined, identity, laneCombine } from "./combine.ts";
import { divided, divisionOf } from "./divide.ts";
import { LaneEmitter } from "./emitter.ts";
import type { KernelBody, KernelHost } from "./kernel-host.ts";
import { Nest } from "./nest.ts";

/** Vectors that are accumulated side by side: an addition takes about as many cycles as this hides. */
const PARTS = 4;

/**
 * Lanes hold parts of one point, combined pairwise at the end in an order that depends on the shape only. Long rows are
 * summed in several vectors at once, for one would wait for itself.
 */
export function lanesAlongReduced(kernel: ReduceKernel, plan: ReducePlan, lane: number, host: KernelHost): KernelBody {
  const { sizes, kept, reduced, value, stores } = plan;
  const combine = laneCombine(kernel);
  const { dtype } = value;
  const size = sizes[lane] ?? 1;
  const wide = Math.floor(size / (4 * PARTS));
  const both = (a: Expr<"v128">, b: Expr<"v128">): Expr<"v128"> => combined(combine, dtype, a, b);
  const division = divisionOf(host.team, sizes, kept, undefined);
  const write = (f: FunctionBuilder): void => {
    const nest = new Nest(f, host.layout, [value], stores);
    const { spans } = divided(f, host.team, sizes, division, undefined);
    nest.loops(spans, kept, () => {
      f.scope(() => {
        const parts = Array.from({ length: wide > 0 ? PARTS : 1 }, () => f.local("v128", identity(combine, dtype)));
        const rest = f.local("v128", identity(combine, dtype));
        const add = (into: Local<"v128">, lanes: number): void => {
          f.scope(() => {
            const x = new LaneEmitter(f, { locator: nest, math: host.math, axis: lane, lanes }).value(value);
            f.set(into, both(into, x));
          });
        };
        nest.loops(sizes, reduced.slice(0, -1), () => {
          nest.loop(lane, wide, 4 * PARTS, () => {
            parts.forEach((part, i) => {
              nest.moved(lane, 4 * i, () => {
                add(part, 4);
              });
            });
          });
          nest.moved(lane, wide * 4 * PARTS, () => {
            nest.lanes(lane, size - wide * 4 * PARTS, (lanes) => {
              add(lanes === 4 ? (parts[0] ?? rest) : rest, lanes);
            });
          });
        });
        const total = pairwise(parts, (a, b) => f.let(both(a, b)));
        const halves = f.let(both(total, shuffle32x4(total, total, [2, 3, 0, 1])));
        const whole = f.let(both(halves, shuffle32x4(halves, halves, [1, 0, 3, 2])));
        const accumulated = f.let(both(whole, rest));
        new LaneEmitter(f, { locator: nest, math: host.math, axis: -1, lanes: 1, accumulated }).storeAll(stores);
      });
    });
  };
  return { write, shared: division !== null };
}

/** Combines neighbours until one is left. */
function pairwise(
  values: readonly Local<"v128">[],
  combine: (a: Local<"v128">, b: Local<"v128">) => Local<"v128">,
): Local<"v128"> {
  const [first, second, ...rest] = values;
  if (first === undefined) throw new RangeError("nothing to combine");
  if (second === undefined) return first;
  return pairwise([...rest, combine(first, second)], combine);
}
