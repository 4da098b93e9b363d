import { describe, expect, it } from "vitest";
import type { Graph } from "../../src/ir/graph.ts";
import { printGraph } from "../../src/ir/print.ts";
import { verify } from "../../src/ir/verify.ts";
import { sizeOf } from "../../src/ir/tensor-type.ts";
import { makeGraph } from "../../src/jit/index.ts";
import { add, exp, mul, neg, scan, sin, sliceAxis, stopGradient, sum, tanh, where } from "../../src/ops/index.ts";
import { commonSubexpressions, deadCode, inline, optimize, simplify } from "../../src/passes/index.ts";
import { array, hostTensor } from "../../src/runtime/host-tensor.ts";
import { evaluateGraph } from "../../src/reference/interpret.ts";
import type { Tracer } from "../../src/trace/tracer.ts";
import { customVjp, grad } from "../../src/vjp/index.ts";

const x = array([1, 2, 3]);
const primitives = (graph: Graph): readonly string[] => graph.equations.map(({ primitive }) => primitive);
const after = (pass: (graph: Graph) => Graph, f: (t: Tracer) => unknown): Graph => {
  const graph = pass(makeGraph(f, x));
  verify(graph);
  return graph;
};

describe("deadCode", () => {
  it("drops what no result needs", () => {
    const graph = after(deadCode, (t) => {
      exp(t);
      return sin(t);
    });
    expect(primitives(graph)).toEqual(["sin"]);
  });

  it("drops carries, inputs and results of a scan that nobody reads", () => {
    const graph = after(deadCode, (t) => {
      const [, ys] = scan(
        (
          [a, b]: readonly [Tracer, Tracer],
          v: Tracer,
        ): readonly [readonly [Tracer, Tracer], { y: Tracer; z: Tracer }] => [
          [add(a, v), mul(b, v)],
          { y: sin(a), z: exp(b) },
        ],
        [sum(t), sum(exp(t))],
        t,
      );
      return ys.y;
    });
    const [loop] = graph.equations.filter(({ primitive }) => primitive === "scan");
    expect(loop?.params).toMatchObject({ carry: 1 });
    expect(loop?.outputs.length).toBe(2);
    expect(primitives(graph)).not.toContain("exp");
    expect(printGraph(graph)).not.toContain("mul");
  });

  it("keeps a carry that a live one needs", () => {
    const graph = after(deadCode, (t) => {
      const body = ([a, b]: readonly [Tracer, Tracer], v: Tracer): readonly [readonly [Tracer, Tracer], Tracer] => [
        [b, add(a, v)],
        v,
      ];
      return scan(body, [sum(t), sum(t)], t)[0][0];
    });
    expect(graph.equations.at(-1)?.params).toMatchObject({ carry: 2 });
  });
});

describe("commonSubexpressions", () => {
  it("keeps the first of equal equations, and looks at parameters", () => {
    expect(primitives(after(commonSubexpressions, (t) => add(sin(t), sin(t))))).toEqual(["sin", "add"]);
    expect(primitives(after(commonSubexpressions, (t) => [t.greater(t), t.less(t)]))).toEqual(["compare", "compare"]);
    expect(primitives(after(commonSubexpressions, (t) => [t.pad([[1, 0]]), t.pad([[0, 1]])]))).toEqual(["pad", "pad"]);
  });
});

describe("simplify", () => {
  it.each<[string, (t: Tracer) => Tracer]>([
    ["x + 0", (t) => add(t, 0)],
    ["1 x", (t) => mul(1, t)],
    ["x / 1", (t) => t.div(1)],
    ["-(-x)", (t) => neg(neg(t))],
    ["a choice between equals", (t) => where(t.greater(0), t, t)],
    ["a choice that is known", (t) => where(true, t, 0)],
    ["transposed twice", (t) => t.reshape([3, 1]).transpose().transpose().reshape([3])],
    ["a whole slice", (t) => t.slice([[0, 3]])],
  ])("%s is x", (_, f) => {
    expect(deadCode(after(simplify, f)).equations).toEqual([]);
  });

  it("leaves what may be NaN", () => {
    expect(primitives(after(simplify, (t) => mul(t, 0)))).toContain("mul");
    expect(primitives(after(simplify, (t) => t.sub(t)))).toEqual(["sub"]);
  });
});

describe("inline", () => {
  it("puts the primal of a custom derivative in its place, and drops stop_gradient", () => {
    const own = customVjp<readonly [Tracer], Tracer, readonly []>({
      primal: (a) => tanh(a),
      forward: (a) => ({ value: tanh(a), saved: [] }),
      backward: (_, g) => [g],
    });
    expect(primitives(after(inline, (t) => stopGradient(own(own(t)))))).toEqual(["tanh", "tanh"]);
  });
});

describe("optimize", () => {
  it("gives the same text when run again", () => {
    const graph = after(optimize, (t) => add(mul(sin(t), 1), neg(neg(sin(t)))));
    expect(primitives(graph)).toEqual(["sin", "add"]);
    expect(printGraph(optimize(graph))).toBe(printGraph(graph));
  });
});

describe("mergePads", () => {
  const gradientOf = (f: (t: Tracer) => Tracer, shape: readonly number[]): Graph => {
    const zeros = hostTensor({ dtype: "float32", shape }, new Float32Array(sizeOf(shape)));
    const graph = optimize(makeGraph(grad(f), zeros));
    verify(graph);
    return graph;
  };

  it("lays the gradients of slices side by side, zeros for what is not used", () => {
    const graph = gradientOf((t) => add(sum(exp(sliceAxis(t, 1, 0, 2))), sum(sin(sliceAxis(t, 1, 3, 7)))), [4, 9]);
    expect(primitives(graph)).toContain("concatenate");
    expect(primitives(graph)).not.toContain("pad");
    const input = Float32Array.from({ length: 36 }, (_, i) => i / 36);
    const expected = input.map((v, i) => (i % 9 < 2 ? Math.exp(v) : i % 9 >= 3 && i % 9 < 7 ? Math.cos(v) : 0));
    const [actual] = evaluateGraph(graph, [input]);
    actual!.forEach((v: number, i: number) => {
      expect(v).toBeCloseTo(expected[i]!, 6);
    });
  });

  it("adds up parts that coincide, and leaves parts that overlap", () => {
    const part = (t: Tracer, from: number, to: number): Tracer => sliceAxis(t, 0, from, to);
    const same = gradientOf(
      (t) => add(sum(exp(part(t, 0, 3))), add(sum(sin(part(t, 0, 3))), sum(sin(part(t, 3, 6))))),
      [6],
    );
    expect(primitives(same)).toContain("concatenate");
    const overlap = gradientOf((t) => add(sum(exp(part(t, 0, 4))), sum(sin(part(t, 2, 6)))), [6]);
    expect(primitives(overlap)).not.toContain("concatenate");
    expect(primitives(overlap).filter((name) => name === "pad")).toHaveLength(2);
  });
});

describe("hoistSums", () => {
  it("leaves a running sum that is read in the loop, as in linear attention", () => {
    const states = array(
      Array.from({ length: 24 }, (_, i) => Math.sin(i)),
      { shape: [6, 4] },
    );
    const attention = (xs: Tracer): Tracer => {
      const step = (s: Tracer, x: Tracer): readonly [Tracer, Tracer] => {
        const row = x.expandDims(0);
        const next = s.add(row.transpose().matmul(row));
        return [next, row.matmul(next).reshape([4])];
      };
      return scan(step, xs.index(0, 0).expandDims(1).mul(xs.index(0, 0)).mul(0), xs)[1];
    };
    const graph = optimize(makeGraph(attention, states));
    verify(graph);
    const [actual] = evaluateGraph(graph, [states.data]);
    const [expected] = evaluateGraph(makeGraph(attention, states), [states.data]);
    expect(actual).toEqual(expected);
    verify(
      optimize(
        makeGraph(
          grad((xs: Tracer) => sum(attention(xs))),
          states,
        ),
      ),
    );
  });
});
