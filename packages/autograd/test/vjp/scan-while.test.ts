import { describe, expect, it } from "vitest";
import { NotDifferentiableError } from "../../src/errors.ts";
import { makeGraph } from "../../src/jit/index.ts";
import { mul, ones, scan, stopGradient, sum, whileLoop } from "../../src/ops/index.ts";
import { array } from "../../src/runtime/host-tensor.ts";
import type { Tracer } from "../../src/trace/tracer.ts";
import { grad } from "../../src/vjp/index.ts";
import { onHost } from "../testing/on-host.ts";

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

  it("is refused in a second derivative as well", () => {
    const doubled = (x: Tracer): Tracer =>
      whileLoop(
        (z: Tracer) => z.less(8),
        (z: Tracer) => mul(z, 2),
        x,
        { maxSteps: 3 },
      ).carry;
    const inScan = (f: (a: Tracer) => Tracer, a: Tracer): Tracer =>
      sum(scan((c: Tracer) => [c, f(a)] as const, a, [], { length: 2 })[1]);
    const mixed = (g: (a: Tracer, b: Tracer) => Tracer, second: (x: Tracer) => Tracer = (x) => x): unknown =>
      onHost((a, b) => grad((y: Tracer) => grad((x: Tracer) => g(x, second(y)))(a))(b), array(1), array(1)).toNested();
    const once = (a: Tracer, b: Tracer): Tracer => inScan((x) => mul(x, doubled(b)), a);
    const twice = (a: Tracer, b: Tracer): Tracer => inScan((x) => once(x, b), a);
    const outside = (a: Tracer, b: Tracer): Tracer => mul(a, doubled(b));
    for (const program of [outside, once, twice]) {
      expect(() => mixed(program)).toThrow(NotDifferentiableError);
      expect(mixed(program, stopGradient)).toBe(0);
    }
    // The loop's own operand is not what is differentiated, or is stopped.
    expect(mixed((a, b) => inScan((x) => mul(mul(x, b), stopGradient(doubled(b))), a))).toBe(16);
    const byA = onHost(
      (a, b) => grad((x: Tracer) => grad((y: Tracer) => mul(y, once(y, b)))(x))(a),
      array(1),
      array(1),
    );
    expect(byA.toNested()).toBe(32);
  });

  it("may depend on a counter of its own, in a scan and in a scan of scans", () => {
    const step = ([n, h]: readonly [Tracer, Tracer], x: Tracer): readonly [readonly [Tracer, Tracer], Tracer] => {
      const next = h.mul(halve(n)).add(x);
      return [[n.mul(1.5), next], next];
    };
    const f = (x: Tracer): Tracer => scan(step, [ones([]), ones([])] as const, x)[0][1];
    const g = (x: Tracer): Tracer =>
      scan(
        (carry: readonly [Tracer, Tracer]) => [scan(step, carry, x)[0], carry[1]] as const,
        [ones([]), ones([])] as const,
        [],
        {
          length: 2,
        },
      )[0][1];
    // halve gives 1, 0.75 | 0.5625, 0.84375 on 1, 1.5, 2.25, 3.375.
    expect(onHost((x) => grad(f)(x), array([1, 2])).toNested()).toEqual([0.75, 1]);
    const [w1, w2, w3] = [0.75, 0.5625, 0.84375];
    const [first, second] = onHost((x) => grad(g)(x), array([1, 2])).toNested() as number[];
    expect(first).toBeCloseTo(w1 * w2 * w3 + w3, 6);
    expect(second).toBeCloseTo(w2 * w3 + 1, 6);
  });
});
