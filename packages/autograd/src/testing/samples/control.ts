/** Samples of stop_gradient, custom_vjp_call, scan and while. */
import type { Graph } from "../../ir/graph.ts";
import type { PrimitiveParams } from "../../ir/primitives.ts";
import type { Shape, TensorType } from "../../ir/tensor-type.ts";
import { stopGradient, whileLoop } from "../../ops/control.ts";
import { zeros } from "../../ops/creation.ts";
import {
  abs,
  add,
  cos,
  div,
  equal,
  exp,
  greater,
  less,
  mul,
  neg,
  sin,
  sub,
  tanh,
  where,
} from "../../ops/elementwise.ts";
import { max, sum } from "../../ops/reduction.ts";
import { emit } from "../../trace/builder.ts";
import type { Tracer } from "../../trace/tracer.ts";
import { integers, normal, uniform } from "../data.ts";
import { bool, f32, graphOf, i32, sample, type SampleTable } from "../sample.ts";

const f = (...shape: Shape): TensorType => ({ dtype: "float32", shape });
const i = (...shape: Shape): TensorType => ({ dtype: "int32", shape });

/** A value known to be there. */
const at = (list: readonly Tracer[], index: number): Tracer => {
  const x = list[index];
  if (x === undefined) throw new RangeError(`a sample has no value ${index}`);
  return x;
};

type ScanParams = PrimitiveParams["scan"];

/** carry' = tanh(w * carry + x), y = sin(carry') * w: one constant, one carry, one stacked input and output. */
const cell = (...shape: Shape): Graph =>
  graphOf([f(...shape), f(...shape), f(...shape)], (args) => {
    const next = tanh(add(mul(at(args, 0), at(args, 1)), at(args, 2)));
    return [next, mul(sin(next), at(args, 0))];
  });

const rnn = (length: number, reverse: boolean, shape: Shape = [3]): ScanParams => ({
  body: cell(...shape),
  consts: 1,
  carry: 1,
  length,
  reverse,
});

const rnnInputs = (length: number, shape: Shape = [3]): ReturnType<typeof f32>[] => [
  f32(shape),
  f32(shape),
  f32([length, ...shape]),
];

/** Halves until small, at most 6 times, under stop_gradient; then one traced step with the constant. */
const solving: ScanParams = {
  body: graphOf([f(3), f(3), f(3)], (args) => {
    const [w, h, x] = [at(args, 0), at(args, 1), at(args, 2)];
    const solved = whileLoop(
      (z: Tracer) => greater(max(abs(z)), 0.3),
      (z: Tracer) => mul(z, 0.5),
      add(h, x),
      { maxSteps: 6 },
    );
    const z = stopGradient(solved.carry);
    const next = tanh(add(mul(w, z), h));
    return [next, mul(next, x)];
  }),
  consts: 1,
  carry: 1,
  length: 4,
  reverse: false,
};

/** A step counter, a carry that nothing differentiates and a choice by it. */
const counting: ScanParams = {
  body: graphOf([i(), f(3), f(3)], (args) => {
    const [n, h, x] = [at(args, 0), at(args, 1), at(args, 2)];
    const odd = equal(sub(n, mul(2, div(n, 2))), 1);
    const next = where(odd, mul(h, x), add(h, sin(x)));
    return [add(n, 1), next, n, next];
  }),
  consts: 0,
  carry: 2,
  length: 5,
  reverse: false,
};

const doubled = (x: Tracer): Tracer =>
  whileLoop(
    (z: Tracer) => less(max(z), 4),
    (z: Tracer) => mul(z, 2),
    x,
    { maxSteps: 6 },
  ).carry;

/** A loop on a carry of its own: h' = tanh(h * loop(n) + x), n' = n * 0.9. Differentiable by h and x, not by n. */
const scheduled: ScanParams = {
  body: graphOf([f(2), f(2), f(2)], (args) => {
    const [n, h, x] = [at(args, 0), at(args, 1), at(args, 2)];
    const next = tanh(add(mul(h, doubled(n)), x));
    return [mul(n, 0.9), next, mul(next, h)];
  }),
  consts: 0,
  carry: 2,
  length: 4,
  reverse: false,
};

/** `scheduled` in the body of a scan, the counter going on in the outer carry. */
const scheduledTwice: ScanParams = {
  body: graphOf([f(2), f(2), f(4, 2)], (args) => {
    const inner = emit("scan", args, scheduled);
    return [mul(at(inner, 0), 0.8), at(inner, 1), sum(at(inner, 2), { axes: 0 })];
  }),
  consts: 0,
  carry: 2,
  length: 3,
  reverse: false,
};

/** A scan in the body of a scan: the inner one sums w * x over its rows, starting from the outer carry. */
const nested: ScanParams = {
  body: graphOf([f(2), f(2), f(3, 2)], (args) => {
    const [w, h, rows] = [at(args, 0), at(args, 1), at(args, 2)];
    const inner = emit("scan", [w, h, rows], { body: cell(2), consts: 1, carry: 1, length: 3, reverse: true });
    return [at(inner, 0), sum(at(inner, 1), { axes: 0 })];
  }),
  consts: 1,
  carry: 1,
  length: 4,
  reverse: false,
};

const accumulate: ScanParams = {
  body: graphOf([f(2), f(2)], (args) => [add(at(args, 0), exp(at(args, 1))), at(args, 0)]),
  consts: 0,
  carry: 1,
  length: 5,
  reverse: false,
};

type CustomParams = PrimitiveParams["custom_vjp_call"];

/** sin(a) * b with its own derivative, which saves the operands. */
const sine: CustomParams = {
  primal: graphOf([f(3, 5), f(3, 5)], (x) => [mul(sin(at(x, 0)), at(x, 1))]),
  forward: graphOf([f(3, 5), f(3, 5)], (x) => [mul(sin(at(x, 0)), at(x, 1)), at(x, 0), at(x, 1)]),
  backward: graphOf([f(3, 5), f(3, 5), f(3, 5)], (x) => [
    mul(at(x, 2), mul(cos(at(x, 0)), at(x, 1))),
    mul(at(x, 2), sin(at(x, 0))),
  ]),
  residuals: 2,
};

/** Two results, nothing saved, one of the operands an integer. */
const affine: CustomParams = {
  primal: graphOf([f(4), i(4)], (x) => [neg(at(x, 0)), mul(at(x, 0), 3)]),
  forward: graphOf([f(4), i(4)], (x) => [neg(at(x, 0)), mul(at(x, 0), 3)]),
  backward: graphOf([f(4), f(4)], (x) => [sub(mul(at(x, 1), 3), at(x, 0)), zeros([4], "int32")]),
  residuals: 0,
};

type WhileParams = PrimitiveParams["while"];

/** x <- x * decay while any element is larger than the limit. */
const shrink = (maxSteps: number): WhileParams => ({
  cond: graphOf([f(), f(3)], (x) => [greater(max(at(x, 1)), at(x, 0))]),
  body: graphOf([f(), f(3)], (x) => [mul(at(x, 1), at(x, 0))]),
  condConsts: 1,
  bodyConsts: 1,
  maxSteps,
});

/** The same per row, and a count of its own: finished rows are frozen. */
const shrinkRows = (rows: number): WhileParams => ({
  cond: graphOf([f(rows, 2), i(rows)], (x) => [greater(max(abs(at(x, 0)), { axes: 1 }), 0.25)]),
  body: graphOf([f(rows, 2), i(rows)], (x) => [mul(at(x, 0), 0.5), add(at(x, 1), 1)]),
  condConsts: 0,
  bodyConsts: 0,
  maxSteps: 9,
});

const counter: WhileParams = {
  cond: graphOf([i()], (x) => [less(at(x, 0), 7)]),
  body: graphOf([i()], (x) => [add(at(x, 0), 2)]),
  condConsts: 0,
  bodyConsts: 0,
  maxSteps: 100,
};

const shrinkInputs = [f32([], uniform(0.1, 0.3)), f32([], uniform(0.4, 0.6)), f32([3], uniform(1, 4))];

export const control: Pick<SampleTable, "stop_gradient" | "custom_vjp_call" | "scan" | "while"> = {
  stop_gradient: [
    sample("scalar", {}, [f32([])]),
    sample("odd", {}, [f32([3, 5])]),
    sample("empty", {}, [f32([0])]),
    sample("integer", {}, [i32([7])]),
    sample("integer", {}, [bool([7])], { name: "bool" }),
  ],
  custom_vjp_call: [
    sample("odd", sine, [f32([3, 5]), f32([3, 5])]),
    sample("odd", affine, [f32([4]), i32([4])], { name: "two results" }),
  ],
  scan: [
    sample("odd", rnn(5, false), rnnInputs(5)),
    sample("reverse", rnn(5, true), rnnInputs(5)),
    sample("T=0", rnn(0, false), rnnInputs(0)),
    sample("T=1", rnn(1, false), rnnInputs(1)),
    sample("T=1", rnn(1, true), rnnInputs(1), { name: "reverse" }),
    sample("one", rnn(4, false, []), rnnInputs(4, [])),
    sample("empty", rnn(3, false, [0]), rnnInputs(3, [0])),
    sample("large", rnn(65, false, [7]), rnnInputs(65, [7]), { wrt: [] }),
    sample("nested", solving, [f32([3], normal(0.5)), f32([3]), f32([4, 3])], { name: "while and stop_gradient" }),
    sample("nested", { ...solving, reverse: true }, [f32([3], normal(0.5)), f32([3]), f32([4, 3])], {
      name: "while and stop_gradient, reverse",
    }),
    sample("nested", scheduled, [f32([2], uniform(0.5, 1)), f32([2], normal(0.3)), f32([4, 2])], {
      name: "while on a counter",
      wrt: [1, 2],
    }),
    sample("nested", scheduledTwice, [f32([2], uniform(0.5, 1)), f32([2], normal(0.3)), f32([3, 4, 2])], {
      name: "while on a counter in a scan",
      wrt: [1, 2],
    }),
    sample("nested", nested, [f32([2]), f32([2]), f32([4, 3, 2])], { name: "scan" }),
    sample("odd", accumulate, [f32([2]), f32([5, 2])], { name: "carry before the step" }),
    sample("integer", counting, [i32([], integers(0, 1)), f32([3]), f32([5, 3])], { name: "counter" }),
    sample("odd", rnn(5, false), rnnInputs(5), { name: "by the constant", wrt: [0] }),
    sample("odd", rnn(5, true), rnnInputs(5), { name: "by the carry", wrt: [1] }),
  ],
  while: [
    sample("odd", shrink(20), shrinkInputs),
    sample("odd", shrink(2), shrinkInputs, { name: "out of steps" }),
    sample("T=0", shrink(0), shrinkInputs),
    sample("odd", shrinkRows(5), [f32([5, 2], normal(3)), i32([5])], { name: "rows" }),
    sample("B=1", shrinkRows(1), [f32([1, 2], normal(3)), i32([1])], { name: "rows" }),
    sample("empty", shrinkRows(0), [f32([0, 2]), i32([0])], { name: "rows" }),
    sample("integer", counter, [i32([])]),
  ],
};
