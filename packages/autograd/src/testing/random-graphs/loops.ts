/** Moves with loops and derivatives of their own. */
import { scan, stopGradient, whileLoop } from "../../ops/control.ts";
import { abs, add, cos, greater, mul, sin, tanh } from "../../ops/elementwise.ts";
import { expandDims } from "../../ops/movement.ts";
import { max, sum } from "../../ops/reduction.ts";
import type { Tracer } from "../../trace/tracer.ts";
import { customVjp } from "../../vjp/transforms.ts";
import type { Move } from "../random-graphs.ts";
import { alike } from "./alike.ts";

/** The leading axis as time: a value of at least one axis. */
const stacked = (x: Tracer): Tracer => (x.rank === 0 ? expandDims(x, 0) : x);

/** A recurrence over the first axis; the body closes over a value, which becomes a constant of the loop. */
export const scanMove: Move = (pool, { a, b, variant }) => {
  const [xs, weight] = [stacked(pool.float(a)), sum(pool.float(b))];
  const initial = mul(tanh(sum(xs, { axes: 0 })), weight);
  const [carry, ys] = scan(
    (h: Tracer, x: Tracer): readonly [Tracer, Tracer] => {
      const next = tanh(add(mul(h, sin(weight)), x));
      return [next, mul(next, x)];
    },
    initial,
    xs,
    { reverse: variant % 2 === 1 },
  );
  return [carry, ys];
};

/** A loop inside a loop: each step halves until small, then takes one step that is differentiated. */
export const solveMove: Move = (pool, { a, b }) => {
  const [xs, weight] = [stacked(pool.float(a)), sum(pool.float(b))];
  const [carry] = scan(
    (h: Tracer, x: Tracer): readonly [Tracer, Tracer] => {
      const { carry: z } = whileLoop(
        (y: Tracer) => greater(sum(abs(y)), 0.3),
        (y: Tracer) => mul(y, 0.5),
        add(h, x),
        { maxSteps: 5 },
      );
      const next = tanh(add(mul(stopGradient(z), cos(weight)), x));
      return [next, next];
    },
    sum(xs, { axes: 0 }),
    xs,
  );
  return [carry];
};

/** A loop with a predicate for all, or one per row; nothing flows back through it. */
export const whileMove: Move = (pool, { a, variant }) => {
  const x = stopGradient(stacked(pool.float(a)));
  const perRow = variant % 2 === 1 && !x.shape.slice(1).includes(0);
  const size = (y: Tracer): Tracer => {
    if (!perRow) return sum(abs(y));
    return x.rank === 1 ? abs(y) : max(abs(y), { axes: x.shape.slice(1).map((_, i) => i + 1) });
  };
  const { carry, steps } = whileLoop(
    (y: Tracer) => greater(size(y), 0.25),
    (y: Tracer) => mul(y, 0.5),
    x,
    { maxSteps: 6 },
  );
  return [carry, steps];
};

/** A product with the derivative spelled out. */
const product = customVjp<readonly [Tracer, Tracer], Tracer, readonly [Tracer, Tracer]>({
  primal: (x, y) => mul(sin(x), y),
  forward: (x, y) => ({ value: mul(sin(x), y), saved: [x, y] }),
  backward: ([x, y], g) => [mul(g, mul(cos(x), y)), mul(g, sin(x))],
});

export const customMove: Move = (pool, { a, b }) => {
  const x = pool.float(a);
  return [product(x, alike(pool.float(b), x))];
};
