import { describe, expect, it } from "vitest";
import { NotDifferentiableError } from "../../src/errors.ts";
import { makeGraph } from "../../src/jit/index.ts";
import { mul, scan, stopGradient, sum, whileLoop } from "../../src/ops/index.ts";
import { array } from "../../src/runtime/host-tensor.ts";
import type { Tracer } from "../../src/trace/tracer.ts";
import { grad } from "../../src/vjp/index.ts";

const halve = (x: Tracer): Tracer =>
  whileLoop(
    (z: Tracer) => z.greater(1),
    (z: Tracer) => mul(z, 0.5),
    x,
    { maxSteps: 9 },
  ).carry;

function gradientThrough(step: (x: Tracer) => Tracer): void {
  const body = (h: Tracer, v: Tracer): readonly [Tracer, Tracer] => [h, step(v)];
  makeGraph((x: Tracer) => grad((xs: Tracer) => sum(scan(body, sum(xs), xs)[1]))(x), array([1, 2, 3]));
}

describe("a while loop in the body of a scan", () => {
  it("is refused with the remedy when a gradient would have to flow through it", () => {
    expect(() => gradientThrough(halve)).toThrow(NotDifferentiableError);
    expect(() => gradientThrough(halve)).toThrow(/stopGradient/);
  });

  it("is fine under stopGradient, and where no gradient flows", () => {
    expect(() => gradientThrough((v) => mul(stopGradient(halve(v)), v))).not.toThrow();
    expect(() => gradientThrough((v) => mul(halve(stopGradient(v)), v))).not.toThrow();
    expect(() => gradientThrough((v) => mul(v, halve(v).greater(0.5).astype("float32")))).not.toThrow();
  });

  it("may carry a state on which the result does not depend", () => {
    const body = ([z, h]: readonly [Tracer, Tracer], x: Tracer): readonly [readonly [Tracer, Tracer], Tracer] => [
      [halve(z.add(x)), h.mul(x)],
      h,
    ];
    const run = (xs: Tracer, part: 0 | 1): Tracer => scan(body, [sum(xs), sum(xs)], xs)[0][part];
    expect(() => makeGraph((x: Tracer) => grad((xs: Tracer) => run(xs, 1))(x), array([1, 2]))).not.toThrow();
    expect(() => makeGraph((x: Tracer) => grad((xs: Tracer) => run(xs, 0))(x), array([1, 2]))).toThrow(/while/);
  });
});
