import { describe, expect, it } from "vitest";
import { DTypeError, NotDifferentiableError, ShapeError, TreeError } from "../../src/errors.ts";
import { printGraph } from "../../src/ir/print.ts";
import { makeGraph } from "../../src/jit/index.ts";
import {
  add,
  cos,
  exp,
  maximum,
  mul,
  pow,
  scan,
  sin,
  stack,
  stopGradient,
  sum,
  whileLoop,
} from "../../src/ops/index.ts";
import { optimize } from "../../src/passes/index.ts";
import { array, type HostTensor } from "../../src/runtime/host-tensor.ts";
import type { Tracer } from "../../src/trace/tracer.ts";
import { customVjp, grad, hvp, jvp, valueAndGrad, vjp } from "../../src/vjp/index.ts";
import { allOnHost, onHost } from "../testing/on-host.ts";

const f64 = (values: number[]): HostTensor => array(values, { dtype: "float64" });
const x = f64([0.5, -1.25, 2]);
const v = f64([1, -0.5, 0.25]);
const energy = (t: Tracer): Tracer => sum(mul(sin(t), exp(mul(t, 0.5))));
const close = (actual: HostTensor, expected: readonly number[]): void => {
  expect(actual.data.length).toBe(expected.length);
  actual.data.forEach((a, i) => expect(a).toBeCloseTo(expected[i]!, 12));
};
const numbers = (t: HostTensor): number[] => Array.from(t.data);

describe("grad", () => {
  it("is the derivative, and so is the gradient of the gradient", () => {
    const f = (t: number): number => (Math.cos(t) + 0.5 * Math.sin(t)) * Math.exp(t / 2);
    close(
      onHost((t) => grad(energy)(t), x),
      numbers(x).map(f),
    );
    const second = (t: number): number => (Math.cos(t) - 0.75 * Math.sin(t)) * Math.exp(t / 2);
    close(
      onHost((t) => grad((s: Tracer) => sum(grad(energy)(s)))(t), x),
      numbers(x).map(second),
    );
  });

  it("has the structure of the first argument, zeros where nothing depends on it", () => {
    const graph = makeGraph(
      (p: { w: Tracer; b: readonly [Tracer, Tracer] }) => grad((q: typeof p) => sum(mul(q.w, q.b[0])))(p),
      { w: x, b: [v, array([1, 2])] },
    );
    expect(graph.outputs.map(({ type }) => type)).toEqual([x.type, { dtype: "float32", shape: [2] }, x.type]);
    close(
      onHost((t, u) => grad((p: { a: Tracer; b: Tracer }) => sum(p.a))({ a: t, b: u }).b, x, v),
      [0, 0, 0],
    );
  });

  it("gives the auxiliary results with the value", () => {
    const [loss, twice, g] = allOnHost((t) => {
      const both = valueAndGrad((s: Tracer) => ({ loss: sum(mul(s, s)), twice: mul(s, 2) }))(t);
      return [both.value.loss, both.value.twice, both.grad];
    }, x);
    close(loss!, [0.25 + 1.5625 + 4]);
    expect(numbers(twice!)).toEqual(numbers(g!));
  });

  it("refuses what has no gradient, and names it", () => {
    expect(() => onHost((t) => grad((s: Tracer) => mul(s, 2))(t), x)).toThrow(ShapeError);
    expect(() => onHost((t) => grad((s: Tracer) => mul(s, 2))(t), x)).toThrow(/must be a scalar, got float64\[3\]/);
    const counts = array([1, 2], { dtype: "int32" });
    const tree = (t: Tracer, n: Tracer): Tracer => grad((p: { w: Tracer; n: Tracer }) => sum(p.w))({ w: t, n }).w;
    expect(() => onHost(tree, x, counts)).toThrow(DTypeError);
    expect(() => onHost(tree, x, counts)).toThrow(/leaf 'n' of the first argument is int32\[2\]/);
    expect(() => onHost((t) => grad((s: Tracer) => sum(s).greater(0))(t), x)).toThrow(/loss must be a float/);
    expect(() => onHost((t) => grad((s: Tracer) => [sum(s)] as never)(t), x)).toThrow(TreeError);
  });

  it("refuses a while loop with the remedy, and takes stopGradient", () => {
    const halved = (t: Tracer): Tracer =>
      whileLoop(
        (z: Tracer) => z.greater(1),
        (z: Tracer) => mul(z, 0.5),
        sum(t),
        { maxSteps: 9 },
      ).carry;
    expect(() => onHost((t) => grad(halved)(t), x)).toThrow(NotDifferentiableError);
    expect(() => onHost((t) => grad(halved)(t), x)).toThrow(/stopGradient.*scan.*fixedPoint/);
    close(
      onHost((t) => grad((s: Tracer) => mul(sum(s), stopGradient(halved(s))))(t), x),
      [0.625, 0.625, 0.625],
    );
  });

  it("shares the gradient among ties, and follows the convention at 0", () => {
    close(
      onHost((t) => grad((s: Tracer) => s.max())(t), f64([2, 2, 2, 1])),
      [1 / 3, 1 / 3, 1 / 3, 0],
    );
    close(
      onHost((t) => grad((s: Tracer) => sum(maximum(s, 0)))(t), f64([0, -1, 3])),
      [0.5, 0, 1],
    );
    close(
      onHost((t) => grad((s: Tracer) => sum(pow(s, 0)))(t), f64([0, 2])),
      [0, 0],
    );
    close(
      onHost((t) => grad((s: Tracer) => sum(pow(0, s)))(t), f64([2, 3])),
      [0, 0],
    );
  });
});

describe("jvp, vjp and hvp", () => {
  it("jvp is the directional derivative", () => {
    const [tangent, g] = allOnHost((t, u) => [jvp(energy, t, u).tangent, grad(energy)(t)], x, v);
    close(tangent!, [numbers(g!).reduce((s, y, i) => s + y * numbers(v)[i]!, 0)]);
  });

  it("hvp is the derivative of the gradient", () => {
    const [product, forward] = allOnHost((t, u) => [hvp(energy, t, u), jvp(grad(energy), t, u).tangent], x, v);
    close(product!, numbers(forward!));
  });

  it("vjp takes a cotangent of the value's structure, and names one that does not fit", () => {
    const parts = (t: Tracer): { s: Tracer; c: Tracer } => ({ s: sin(t), c: cos(t) });
    const g = onHost((t, u) => vjp(parts, t).pullback({ s: u, c: mul(u, 2) }), x, v);
    close(g, numbers(x).map((t, i) => numbers(v)[i]! * (Math.cos(t) - 2 * Math.sin(t)))); // prettier-ignore
    expect(() => onHost((t) => vjp(parts, t).pullback({ s: t } as never), x)).toThrow(/structure/);
    expect(() => onHost((t) => vjp(parts, t).pullback({ s: sum(t), c: t }), x)).toThrow(/cotangent c|cotangent s/);
  });
});

describe("customVjp", () => {
  const halfGradient = customVjp<readonly [Tracer], Tracer, Tracer>({
    primal: (t) => sin(t),
    forward: (t) => ({ value: sin(t), saved: t }),
    backward: (t, g) => [mul(mul(g, cos(t)), 0.5)],
  });

  it("uses the given derivative, also inside others", () => {
    close(
      onHost((t) => grad((s: Tracer) => sum(halfGradient(s)))(t), x),
      numbers(x).map((t) => Math.cos(t) / 2),
    );
    close(
      onHost((t) => halfGradient(t), x),
      numbers(x).map(Math.sin),
    );
  });

  it("may leave a cotangent out, and is refused one of another shape", () => {
    const ignoring = customVjp<readonly [Tracer, Tracer], Tracer, readonly []>({
      primal: (a, b) => add(a, b),
      forward: (a, b) => ({ value: add(a, b), saved: [] }),
      backward: (_, g) => [null, g],
    });
    const g = allOnHost((t, u) => {
      const both = grad((p: readonly [Tracer, Tracer]) => sum(ignoring(...p)))([t, u]);
      return [both[0], both[1]];
    }, x, v); // prettier-ignore
    expect(g.map(numbers)).toEqual([[0, 0, 0], [1, 1, 1]]); // prettier-ignore
    const wrong = customVjp<readonly [Tracer], Tracer, readonly []>({
      primal: (a) => sin(a),
      forward: (a) => ({ value: sin(a), saved: [] }),
      backward: (_, u) => [sum(u)],
    });
    expect(() => onHost((t) => wrong(t), x)).toThrow(/cotangent of argument 0/);
  });

  it("refuses values of an enclosing function, whose cotangents would be lost", () => {
    const capturing = (t: Tracer): Tracer =>
      customVjp<readonly [Tracer], Tracer, readonly []>({
        primal: (a) => mul(a, t),
        forward: (a) => ({ value: mul(a, t), saved: [] }),
        backward: (_, g) => [g],
      })(t);
    expect(() => onHost(capturing, x)).toThrow(TreeError);
    expect(() => onHost(capturing, x)).toThrow(/primal uses 1 value.*pass them as arguments/);
  });
});

describe("scan", () => {
  const step = (h: Tracer, u: Tracer, w: Tracer): Tracer => sin(add(mul(h, w), u));

  for (const reverse of [false, true]) {
    it(`has the gradient of the unrolled loop${reverse ? ", in reverse" : ""}`, () => {
      const looped = (p: readonly [Tracer, Tracer, Tracer]): Tracer => {
        const body = (h: Tracer, u: Tracer): readonly [Tracer, Tracer] => [step(h, u, p[0]), mul(step(h, u, p[0]), h)];
        const [last, ys] = scan(body, p[1], p[2], { reverse });
        return add(sum(last), sum(mul(ys, ys)));
      };
      const unrolled = (p: readonly [Tracer, Tracer, Tracer]): Tracer => {
        let h = p[1];
        const ys: Tracer[] = [];
        for (let i = 0; i < 4; i++) {
          const next = step(h, p[2].index(0, reverse ? 3 - i : i), p[0]);
          ys.push(mul(next, h));
          h = next;
        }
        return add(sum(h), sum(mul(stack(ys), stack(ys))));
      };
      const data = [
        f64([0.5, -1.5]),
        f64([1, 2]),
        array([0.1, 0.2, -0.3, 0.4, 1, -1, 0.5, 2], { dtype: "float64", shape: [4, 2] }),
      ];
      const gradients = (f: typeof looped): readonly HostTensor[] =>
        allOnHost((...p) => grad(f)([p[0]!, p[1]!, p[2]!]), ...data);
      gradients(looped).forEach((g, i) => close(g, numbers(gradients(unrolled)[i]!)));
    });
  }

  it("takes contractions of the body as known in its reverse, also in second derivatives", () => {
    const size = 16;
    const data = Array.from({ length: 3 * size }, (_, i) => Math.sin(i));
    const xs = array(data, { dtype: "float64", shape: [3, 1, size] });
    const w = array(
      Array.from({ length: size * size }, (_, i) => Math.cos(i) / 4),
      { dtype: "float64", shape: [size, size] },
    );
    const step = (h: Tracer, x: Tracer, v: Tracer): Tracer => h.matmul(v).add(x).tanh();
    const looped = (v: Tracer): Tracer => {
      const [h] = scan((c: Tracer, x: Tracer) => [step(c, x, v), []] as const, v.sliceAxis(0, 0, 1), xs);
      return sum(h.mul(h));
    };
    const unrolled = (v: Tracer): Tracer => {
      let h = v.sliceAxis(0, 0, 1);
      for (let i = 0; i < 3; i++) h = step(h, v.zerosLike().sliceAxis(0, 0, 1).add(xs).index(0, i), v);
      return sum(h.mul(h));
    };
    const second = (f: typeof looped) => (v: Tracer) => grad((u: Tracer) => sum(grad(f)(u).sin()))(v);
    close(
      onHost((v) => grad(looped)(v), w),
      numbers(onHost((v) => grad(unrolled)(v), w)),
    );
    close(
      onHost((v) => second(looped)(v), w),
      numbers(onHost((v) => second(unrolled)(v), w)),
    );
    // Forward once, the cotangent of h once, and that of v once, after the loop.
    const text = printGraph(optimize(makeGraph((v: Tracer) => grad(looped)(v), w)));
    expect(text.match(/= dot_general/g)).toHaveLength(3);
  });

  it("refuses a carry that changes", () => {
    const bad = (t: Tracer): Tracer =>
      scan((h: Tracer, u: Tracer): readonly [Tracer, Tracer] => [stack([h, u]), u], sum(t), t)[0];
    expect(() => onHost(bad, x)).toThrow(/scan: the body turns carry of type float64\[\] into float64\[2\]/);
    expect(() => onHost((t) => scan((h: Tracer) => [h, h] as const, t, [])[0], x)).toThrow(/give `length`/);
  });
});
