/** Reductions in which every lane is a point of its own: nothing is combined across lanes. */
import type { ReduceKernel, ReducePlan } from "@banach/autograd/backend";
import { loadLanes } from "../contract/emit-loops.ts";
import { type Expr, type FunctionBuilder, i32x4, v128 } from "../wasm/index.ts";
import { beats, combined, identity, laneCombine } from "./combine.ts";
import { divided, type Division, divisionOf } from "./divide.ts";
import { type Address, LaneEmitter, storeLanes } from "./emitter.ts";
import type { KernelBody, KernelHost } from "./kernel-host.ts";
import { Nest } from "./nest.ts";
import { copiesFor, isCheap } from "./unroll.ts";

/** Vectors whose results are kept in registers at once: two cache lines. */
const TOGETHER = 8;

/** So many rows are read side by side as well as one after the other. */
const SHALLOW = 8;

/** Bytes of results that stay in the first cache while rows stream past them. */
const ROW_BYTES = 2 ** 14;

interface Context {
  readonly kernel: ReduceKernel;
  readonly plan: ReducePlan;
  readonly host: KernelHost;
  readonly lane: number | undefined;
  /** Size of the axis of the lanes. */
  readonly width: number;
  readonly division: Division | null;
}

/** Either way each lane combines its elements in their order, so that results do not depend on the way. */
export function lanesAlongKept(kernel: ReduceKernel, plan: ReducePlan, host: KernelHost): KernelBody {
  const { sizes, kept, reduced } = plan;
  const lane = kept.at(-1);
  const width = lane === undefined ? 1 : (sizes[lane] ?? 1);
  const division = divisionOf(host.team, sizes, kept, lane);
  const context: Context = { kernel, plan, host, lane, width, division };
  const rows = reduced.reduce((size, axis) => size * (sizes[axis] ?? 1), 1);
  const streams = kernel.combine !== "argmax" && rows > SHALLOW && width > 4 * TOGETHER && 4 * width <= ROW_BYTES;
  return { write: streams ? rowByRow(context) : inRegisters(context), shared: division !== null };
}

/** A strip of a few vectors of every row, then the next strip. */
function inRegisters({ kernel, plan, host, lane, width, division }: Context): KernelBody["write"] {
  const { sizes, kept, reduced, value, stores } = plan;
  const together = kernel.combine === "argmax" ? TOGETHER / 2 : isCheap([value]) ? TOGETHER : 2;
  return (f) => {
    const nest = new Nest(f, host.layout, [value], stores);
    const { spans, lanes: run } = divided(f, host.team, sizes, division, lane);
    const strip = (elements: number): void => {
      const lanes = Math.min(elements, 4);
      const options = { locator: nest, math: host.math, axis: lane ?? -1, lanes };
      const results = Array.from({ length: elements / lanes }, () => accumulator(f, kernel));
      const each = (body: (result: Accumulator) => void): void => {
        results.forEach((result, i) => {
          nest.moved(lane ?? 0, 4 * i, () => {
            body(result);
          });
        });
      };
      nest.loops(sizes, reduced, () => {
        each((result) => {
          result.add(new LaneEmitter(f, options).value(value));
        });
      });
      each((result) => {
        new LaneEmitter(f, { ...options, accumulated: result.value }).storeAll(stores);
      });
    };
    nest.loops(spans, kept.slice(0, -1), () => {
      nest.lanes(lane, width, strip, { ...run, together });
    });
  };
}

/**
 * Row after row, the results in memory that stays in the first cache. Memory is read in its order: strips of long rows
 * take three times as long from beyond the caches.
 */
function rowByRow({ kernel, plan, host, lane, width, division }: Context): KernelBody["write"] {
  const { sizes, kept, reduced, value, stores } = plan;
  const combine = laneCombine(kernel);
  const { dtype } = value;
  const scratch = host.layout.scratch();
  const copies = copiesFor([value], Math.floor(width / 4));
  return (f) => {
    const nest = new Nest(f, host.layout, [value], stores);
    const { spans, lanes: run } = divided(f, host.team, sizes, division, lane);
    const results = nest.add(
      scratch(4 * width),
      sizes.map((_, axis) => (axis === lane ? 4 : 0)),
    );
    const overRow = (body: (lanes: number, at: Address) => void): void => {
      const point = (lanes: number): void => {
        body(lanes, nest.at(results));
      };
      nest.lanes(lane, width, point, { ...run, copies });
    };
    const optionsOf = (lanes: number) => ({ locator: nest, math: host.math, axis: lane ?? -1, lanes });
    nest.loops(spans, kept.slice(0, -1), () => {
      overRow((lanes, at) => {
        storeLanes(f, at, identity(combine, dtype), lanes);
      });
      nest.loops(sizes, reduced, () => {
        overRow((lanes, at) => {
          const x = new LaneEmitter(f, optionsOf(lanes)).value(value);
          storeLanes(f, at, combined(combine, dtype, loadLanes(at.pointer, at.offset, lanes), x), lanes);
        });
      });
      overRow((lanes, at) => {
        const accumulated = f.let(loadLanes(at.pointer, at.offset, lanes));
        new LaneEmitter(f, { ...optionsOf(lanes), accumulated }).storeAll(stores);
      });
    });
  };
}

interface Accumulator {
  readonly add: (x: Expr<"v128">) => void;
  /** What has been combined so far; for argmax the position. */
  readonly value: Expr<"v128">;
}

function accumulator(f: FunctionBuilder, kernel: ReduceKernel): Accumulator {
  const combine = laneCombine(kernel);
  const { dtype } = kernel.value;
  const best = f.local("v128", identity(combine, dtype));
  if (combine !== "argmax") {
    const add = (x: Expr<"v128">): void => {
      f.set(best, combined(combine, dtype, best, x));
    };
    return { add, value: best };
  }
  const position = f.local("v128", i32x4.const(-1, -1, -1, -1));
  const where = f.local("v128", i32x4.const(0, 0, 0, 0));
  const add = (x: Expr<"v128">): void => {
    f.set(position, i32x4.add(position, i32x4.const(1, 1, 1, 1)));
    const wins = f.let(beats(dtype, x, best, position));
    f.set(best, v128.bitselect(x, best, wins));
    f.set(where, v128.bitselect(position, where, wins));
  };
  return { add, value: where };
}
