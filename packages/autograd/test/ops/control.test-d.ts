/** Types only: what the bodies of loops may take and return. tsc checks this file; an unused expectation is an error. */
import { scan, whileLoop } from "../../src/ops/index.ts";
import type { Tracer } from "../../src/trace/tracer.ts";

declare const x: Tracer;
declare const list: readonly Tracer[];
const once = { maxSteps: 1 };

/** A carry that starts as a number is a tensor in the body and in the result. */
export const fromNumber: readonly [Tracer, Tracer] = scan((c, v) => [c.add(v), c], 0, x);
export const fromBoolean: Tracer = scan((c, v) => [c.and(v), {}], true, x)[0];
export const fromObject: { n: Tracer } = scan((c, v) => [{ n: c.n.add(v) }, []], { n: 0 }, x)[0];
export const fromTuple: readonly [Tracer, Tracer] = scan(
  ([a, b]: readonly [Tracer, Tracer], v) => [[a.add(v), b], a] as const,
  [x, x],
  x,
)[0];
export const fromList: readonly Tracer[] = scan((c, v) => [c.map((t) => t.add(v)), v], list, x)[0];
export const mixed: { n: Tracer; h: Tracer } = scan((c, v) => [{ n: 0, h: v }, c.h], { n: 0, h: x }, x)[0];

export const doubled: { readonly carry: Tracer; readonly steps: Tracer } = whileLoop(
  (c) => c.less(9),
  (c) => c.mul(2),
  1,
  once,
);
export const counted: { n: Tracer } = whileLoop(
  (c) => c.n.less(9),
  (c) => ({ n: c.n.add(1) }),
  { n: 0 },
  once,
).carry;

// @ts-expect-error the body returns a carry of another structure
export const other = scan((c, v) => [{ m: c.n }, v], { n: 0 }, x);
export const text = whileLoop(
  (c) => c.less(1),
  // @ts-expect-error a text is no tensor
  () => "1",
  1,
  once,
);
// @ts-expect-error the body returns no pair
export const single = scan((c, v) => c.add(v), 0, x);
