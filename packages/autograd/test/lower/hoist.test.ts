import { describe, expect, it } from "vitest";
import { makeGraph } from "../../src/jit/make-graph.ts";
import { isKernel, lower, type Program, printProgram } from "../../src/lower/index.ts";
import { scan, whileLoop } from "../../src/ops/index.ts";
import { evaluateGraph } from "../../src/reference/index.ts";
import { runProgram } from "../../src/reference/run-program.ts";
import { array } from "../../src/runtime/host-tensor.ts";
import type { Tracer } from "../../src/trace/tracer.ts";

const tensor = (...shape: readonly number[]) => {
  const size = shape.reduce((n, length) => n * length, 1);
  return array(
    Float32Array.from({ length: size }, (_, i) => Math.sin(i + shape.length)),
    { shape },
  );
};
const [w, h, xs] = [tensor(3, 3), tensor(2, 3), tensor(4, 2, 3)];

type Cell = (w: Tracer) => (h: Tracer, x: Tracer) => readonly [Tracer, Tracer];

/** The program of a scan, which gives what the interpreter does, and the kernels that are left in its loop. */
function scanned(cell: Cell): { readonly program: Program; readonly inside: number } {
  const graph = makeGraph((w: Tracer, h: Tracer, xs: Tracer) => scan(cell(w), h, xs), w, h, xs);
  const program = lower(graph, (given) => given);
  const data = [w, h, xs].map((t) => t.data);
  runProgram(program, data).forEach((actual, i) => {
    expect(actual.every((x, j) => Math.abs(x - evaluateGraph(graph, data)[i]![j]!) < 1e-5)).toBe(true);
  });
  const loop = program.steps.find((step) => step.kind === "for");
  return { program, inside: loop?.body.filter(isKernel).length ?? 0 };
}

describe("what a loop does not change", () => {
  it("is computed before it: a map, and a product of what was", () => {
    const plain = scanned((w) => (h, x) => [h.matmul(w).add(x), h]);
    const gated = scanned((w) => (h, x) => [h.matmul(w.tanh().matmul(w.exp())).add(x), h]);
    expect(gated.inside).toBe(plain.inside);
    expect(printProgram(gated.program)).toMatch(/tanh[^]*for t/);
  });

  it("stays where it depends on the step, or on what the step before left", () => {
    const { inside } = scanned((w) => (h, x) => [h.matmul(w.mul(x.sum())), h]);
    const fewer = scanned((w) => (h) => [h.matmul(w.mul(2)), h]).inside;
    expect(inside).toBeGreaterThan(fewer);
    expect(scanned(() => (h, x) => [x, h]).inside).toBeGreaterThan(0);
  });

  it("leaves inner loops and then outer ones", () => {
    const nested = (w: Tracer) => (h: Tracer, x: Tracer) => {
      const { carry } = whileLoop(
        (y: Tracer) => y.abs().max().greater(0.1),
        (y: Tracer) => y.matmul(w.exp().mul(0.1)),
        h,
        { maxSteps: 3 },
      );
      return [carry.add(x), h] as const;
    };
    const { program } = scanned(nested);
    expect(printProgram(program)).toMatch(/exp[^]*for t[^]*while/);
  });
});

describe("a carry", () => {
  const x = tensor(4);
  it.each([
    ["that is set to what the loop does not change", 50, [100, 1]],
    ["of a loop that is never run", -50, [undefined, 0]],
  ] as const)("%s keeps its first value until then", (_, limit, [value, steps]) => {
    const graph = makeGraph((x: Tracer) => {
      const result = whileLoop(
        (y: Tracer) => y.max().less(limit),
        () => x.mul(0).add(100),
        x,
        { maxSteps: 9 },
      );
      return [result.carry, result.steps];
    }, x);
    const [carry, made] = runProgram(lower(graph), [x.data]);
    expect(Array.from(made!)).toEqual([steps]);
    expect(Array.from(carry!)).toEqual(value === undefined ? Array.from(x.data) : Array<number>(4).fill(value));
  });
});
