/** Loops over parts of a range, and loads that may have a negative or partial reach. */
import type { Expr, FunctionBuilder, I32 } from "../wasm/index.ts";
import { f32, i32, v128 } from "../wasm/index.ts";
import type { Part } from "../threads/index.ts";
import { asExpr, keep, minus, plus } from "./axes.ts";

/** Runs the body for each index of a part of a group. */
export function each(f: FunctionBuilder, { from, count }: Part, body: (index: I32) => void): void {
  if (count === 1) f.scope(() => body(from));
  else f.range(from, plus(from, count), 1, body);
}

/** Runs the body for blocks of `step` indices of a part, the last of which may be smaller. */
export function blocks(
  f: FunctionBuilder,
  { from, count }: Part,
  step: number,
  body: (from: I32, count: I32) => void,
): void {
  const known = typeof count === "number";
  if (known && count <= step) {
    f.scope(() => body(from, count));
    return;
  }
  f.range(0, count, step, (start) => {
    const left = f.let(asExpr(minus(count, start)));
    const here = known && count % step === 0 ? step : f.let(i32.select(step, left, i32.gt_s(left, step)));
    body(keep(f, plus(from, start)), here);
  });
}

/**
 * Runs the body for strips of `step` indices of a block, and once more, written for its width, for a narrower last one.
 * @param count indices of the block
 * @param total indices of all blocks: blocks are whole strips, except for the last
 */
export function strips(
  f: FunctionBuilder,
  count: I32,
  total: number,
  step: number,
  body: (from: I32, width: number) => void,
): void {
  const rest = total % step;
  if (total === step || total === rest) {
    f.scope(() => body(0, total));
    return;
  }
  f.scope(() => {
    const from = f.local("i32");
    f.forRange(from, 0, minus(count, step - 1), step, () => body(from, step));
    if (rest === 0) return;
    if (typeof count === "number") f.scope(() => body(count - rest, rest));
    else f.if_(i32.lt_s(from, count), () => body(from, rest));
  });
}

/** An address as the instructions take it: an offset of theirs where it can be one, which costs nothing. */
export function reach(pointer: I32, offset: number): [Expr<"i32">, number] {
  return offset >= 0 ? [asExpr(pointer), offset] : [asExpr(plus(pointer, offset)), 0];
}

export const loadFloat = (pointer: I32, offset: number): Expr<"f32"> => f32.load(...reach(pointer, offset));

/** The first `lanes` floats at an address, with zeros after them; no byte behind them is touched. */
export function loadLanes(pointer: I32, offset: number, lanes: number): Expr<"v128"> {
  const [address, at] = reach(pointer, offset);
  if (lanes >= 4) return v128.load(address, at, 4);
  if (lanes === 1) return v128.load32_zero(address, at);
  const two = v128.load64_zero(address, at, 4);
  return lanes === 2 ? two : v128.load32_lane(address, two, 2, at + 8);
}
