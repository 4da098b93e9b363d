import { describe, expect, it } from "vitest";
import { DTypeError, TraceError } from "../../src/errors.ts";
import { printGraph } from "../../src/ir/print.ts";
import { makeGraph } from "../../src/jit/index.ts";
import { add, mul, scan, sum } from "../../src/ops/index.ts";
import { array } from "../../src/runtime/host-tensor.ts";
import { isTracing } from "../../src/trace/builder.ts";
import type { Tracer } from "../../src/trace/tracer.ts";
import { allOnHost } from "../testing/on-host.ts";

const x = array([1, 2, 3]);

describe("tracing", () => {
  it("refuses operations outside a traced function, and says how to call them", () => {
    expect(() => add(1, 2)).toThrow(TraceError);
    expect(() => add(1, 2)).toThrow(/call it inside jit/);
  });

  it("refuses tensors of a trace that has ended", () => {
    let kept: Tracer | undefined;
    makeGraph((t: Tracer) => (kept = t), x);
    expect(() => makeGraph((t: Tracer) => add(t, kept!), x)).toThrow(/belongs to a trace that has ended/);
  });

  it("refuses tensors kept from the body of a loop", () => {
    let kept: Tracer | undefined;
    const leak = (t: Tracer): Tracer => {
      scan(
        (h: Tracer, v: Tracer): readonly [Tracer, Tracer] => {
          kept = mul(h, v);
          return [h, kept];
        },
        sum(t),
        t,
      );
      return add(kept!, 1);
    };
    expect(() => makeGraph(leak, x)).toThrow(/belongs to a trace that has ended/);
  });

  it("refuses async functions", () => {
    expect(() => makeGraph(async (t: Tracer) => t, x)).toThrow(/Promise/);
    expect(isTracing()).toBe(false);
  });

  it("closes the trace after an error", () => {
    expect(() => makeGraph((): Tracer => { throw new Error("mine"); })).toThrow("mine"); // prettier-ignore
    expect(isTracing()).toBe(false);
  });

  it("refuses results and operands that are no tensors", () => {
    expect(() => makeGraph((t: Tracer) => ({ t, name: "loss" }), x)).toThrow(DTypeError);
    expect(() => makeGraph((t: Tracer) => add(t, "1" as never), x)).toThrow(
      /add: expected a tensor or a number, got string 1/,
    );
    expect(() => makeGraph((t: Tracer) => (t as unknown as number) + 1, x)).toThrow(/use add, mul, where/);
    expect(() => makeGraph((s: string) => s, "text")).toThrow(/argument 0 is a string/);
  });

  it("makes one input of each array that is closed over, also by inner functions", () => {
    const weight = array([2, 3, 4]);
    const f = (t: Tracer): readonly Tracer[] =>
      scan((h: Tracer, v: Tracer): readonly [Tracer, Tracer] => [add(h, weight), mul(weight, v)], t, add(weight, 0));
    const graph = makeGraph(f, x);
    expect(graph.inputs.length).toBe(2);
    const [carry, ys] = allOnHost(f, x);
    expect(carry!.toNested()).toEqual([7, 11, 15]);
    expect(ys!.toNested()).toEqual([[4, 6, 8], [6, 9, 12], [8, 12, 16]]); // prettier-ignore
  });

  it("gives equal text to equal programs, whatever they are called", () => {
    const twice = (t: Tracer): Tracer => t.add(t);
    expect(printGraph(makeGraph(twice, x))).toBe(printGraph(makeGraph((u: Tracer) => add(u, u), array([7, 8, 9]))));
  });
});
