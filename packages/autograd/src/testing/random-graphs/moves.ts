/** What random graphs are made of: each move adds a few equations that are well typed for any operands. */
import {
  abs,
  add,
  and,
  clip,
  cos,
  div,
  equal,
  exp,
  expm1,
  floor,
  greater,
  isFinite,
  less,
  log,
  log1p,
  logistic,
  maximum,
  minimum,
  mul,
  neg,
  not,
  or,
  pow,
  rsqrt,
  sign,
  sin,
  sqrt,
  square,
  sub,
  tanh,
  where,
} from "../../ops/elementwise.ts";
import { sizeOf } from "../../ir/tensor-type.ts";
import { matmul, vdot } from "../../ops/contraction.ts";
import { stopGradient } from "../../ops/control.ts";
import { full, iota } from "../../ops/creation.ts";
import { scatterAdd, take } from "../../ops/indexing.ts";
import { astype, broadcastTo } from "../../ops/lift.ts";
import { concatenate, expandDims, pad, reshape, slice, transpose } from "../../ops/movement.ts";
import { linearRecurrence } from "../../ops/recurrence.ts";
import { argmax, max, sum } from "../../ops/reduction.ts";
import { emit1 } from "../../trace/builder.ts";
import type { Tracer } from "../../trace/tracer.ts";
import type { Move } from "../random-graphs.ts";
import { alike } from "./alike.ts";
import { customMove, scanMove, solveMove, whileMove } from "./loops.ts";

export interface NamedMove {
  readonly name: string;
  readonly apply: Move;
  /** Has a gradient and stays finite and moderate. */
  readonly smooth: boolean;
}

type Unary = (x: Tracer) => Tracer;
type Binary = (x: Tracer, y: Tracer) => Tracer;

const unary = (name: string, f: Unary, smooth = true): NamedMove => ({
  name,
  smooth,
  apply: (pool, { a }) => [f(pool.float(a))],
});

const binary = (name: string, f: Binary, smooth = true): NamedMove => ({
  name,
  smooth,
  apply: (pool, { a, b }) => {
    const x = pool.float(a);
    return [f(x, alike(pool.float(b), x))];
  },
});

const move = (name: string, apply: Move, smooth = true): NamedMove => ({ name, smooth, apply });

/** At least one half, smooth. */
const positive: Unary = (x) => add(square(sin(x)), 0.5);

const elementwise: readonly NamedMove[] = [
  unary("tanh", tanh),
  unary("sin", sin),
  unary("cos", cos),
  unary("neg", neg),
  unary("neg twice", (x) => neg(neg(x))),
  unary("abs", abs),
  unary("logistic", logistic),
  unary("exp", (x) => exp(tanh(x))),
  unary("expm1", (x) => expm1(sin(x))),
  unary("log", (x) => log(positive(x))),
  unary("log1p", (x) => log1p(square(tanh(x)))),
  unary("sqrt", (x) => sqrt(positive(x))),
  unary("rsqrt", (x) => rsqrt(positive(x))),
  unary("sign", (x) => mul(sign(x), x)),
  unary("floor", (x) => sub(x, floor(x))),
  unary("stop_gradient", (x) => mul(stopGradient(x), sin(x))),
  unary("add zero", (x) => add(x, 0)),
  unary("times one", (x) => mul(1, x)),
  unary("times zero", (x) => mul(x, 0)),
  unary("clip", (x) => clip(x, -0.75, 1.25)),
  unary("wild exp", exp, false),
  unary("wild log", log, false),
  unary("wild sqrt", sqrt, false),
  binary("add", add),
  binary("sub", sub),
  binary("mul", (x, y) => mul(x, sin(y))),
  binary("div", (x, y) => div(x, positive(y))),
  binary("max", maximum),
  binary("min", minimum),
  binary("pow", (x, y) => pow(positive(x), tanh(y))),
  binary("wild pow", (x, y) => pow(abs(x), y), false),
  binary("wild mul", mul, false),
  binary("where", (x, y) => where(greater(x, y), x, mul(y, 0.5))),
];

const isEmpty = (x: Tracer): boolean => x.shape.includes(0);

/** An axis of x by number, or null for a scalar. */
const axisOf = (x: Tracer, choice: number): number | null => (x.rank === 0 ? null : choice % x.rank);

const along = (name: string, f: (x: Tracer, axis: number, variant: number) => Tracer): NamedMove =>
  move(name, (pool, { a, b, variant }) => {
    const x = pool.float(a);
    const axis = axisOf(x, b);
    return [axis === null ? tanh(x) : f(x, axis, variant)];
  });

const structural: readonly NamedMove[] = [
  along("reduce_sum", (x, axis) => sum(x, { axes: axis })),
  along("reduce_max", (x, axis) => (isEmpty(x) ? x : max(x, { axes: axis, keepDims: true }))),
  along("reverse axes", (x) => transpose(x)),
  along("transpose twice", (x) => transpose(transpose(x))),
  along("flatten", (x) => reshape(x, [sizeOf(x.shape)])),
  along("reshape twice", (x) => reshape(reshape(x, [1, ...x.shape]), [...x.shape, 1])),
  along("broadcast", (x, _, variant) => broadcastTo(expandDims(x, 0), [1 + (variant % 3), ...x.shape])),
  along("slice", (x, axis, variant) => {
    const ranges = x.shape.map((n, i) => (i === axis ? ([variant % (n + 1), n, 1 + (variant % 2)] as const) : null));
    return slice(x, ranges);
  }),
  along("pad", (x, axis, variant) =>
    pad(
      x,
      x.shape.map((_, i) => (i === axis ? [variant % 2, 1] : [0, 0])),
    ),
  ),
  along("concatenate", (x, axis) => concatenate([x, sin(x)], axis)),
  along("linear_recurrence", (x, axis, variant) =>
    linearRecurrence(logistic(x), x, { axis, reverse: variant % 2 === 1 }),
  ),
  move("matmul", (pool, { a, b }) => {
    const [x, y] = [pool.float(a), pool.float(b)];
    const fits = x.rank === 2 && y.rank === 2 && x.dim(1) === y.dim(0);
    return [fits ? matmul(x, tanh(y)) : matmul(expandDims(x, -1), full([1, 2], 0.5))];
  }),
  move("vdot", (pool, { a, b }) => {
    const x = pool.float(a);
    return [vdot(tanh(x), sin(alike(pool.float(b), x)))];
  }),
  move("gather", (pool, { a, b }) => {
    const x = pool.float(a);
    if (x.rank === 0 || x.dim(0) === 0) return [sin(x)];
    const indices = clip(pool.int(b), 0, x.dim(0) - 1);
    return [take(x, indices)];
  }),
  move("scatter_add", (pool, { a, b }) => {
    const x = pool.float(a);
    return x.rank === 0 ? [cos(x)] : [scatterAdd(x, pool.int(b), sum(x))];
  }),
  move("wild gather", (pool, { a, b }) => [take(expandDims(pool.float(a), 0), pool.int(b))], false),
];

const discrete: readonly NamedMove[] = [
  move("compare", (pool, { a, b, variant }) => {
    const x = pool.float(a);
    const y = alike(pool.float(b), x);
    const result = variant % 2 === 0 ? greater(x, y) : less(x, y);
    return [result, mul(astype(result, x.dtype), x)];
  }),
  move("logic", (pool, { a, b, variant }) => {
    const p = pool.bool(a);
    const q = isFinite(astype(pool.bool(b), "float32"));
    const both = variant % 2 === 0 ? and(p, alikeBool(q, p)) : or(not(p), alikeBool(q, p));
    return [and(both, true), where(both, sum(pool.float(b)), 0)];
  }),
  move("argmax", (pool, { a }) => {
    const x = pool.float(a);
    return x.rank === 0 || isEmpty(x) ? [square(tanh(x))] : [argmax(x)];
  }),
  move("integers", (pool, { a, variant }) => {
    const n = pool.int(a);
    const next = variant % 2 === 0 ? add(n, variant) : sub(mul(n, 3), div(n, variant));
    return [next, sin(astype(next, "float32"))];
  }),
  move("iota", (_, { a, variant }) => [mul(iota([1 + (a % 3), 2], variant % 2, "float32"), 0.25)]),
  move("random_bits", (pool, { a }) => {
    const bits = emit1("random_bits", [pool.key], { shape: [1 + (a % 3)] });
    return [mul(astype(bits, "float32"), 2 ** -32)];
  }),
  move("convert", (pool, { a }) => {
    const x = pool.float(a);
    const truncated = astype(clip(x, -9, 9), "int32");
    return [truncated, mul(astype(equal(truncated, 0), "float32"), tanh(x))];
  }),
];

/** A bool of the shape of another: itself, or whether it holds in no element. */
function alikeBool(p: Tracer, like: Tracer): Tracer {
  return broadcastTo(equal(sum(p), 0), like.shape);
}

const loops: readonly NamedMove[] = [
  move("scan", scanMove),
  move("scan that solves", solveMove),
  move("while", whileMove),
  move("custom_vjp_call", customMove),
];

/** Simple ones first: a move shrinks towards the front of its list. */
export const moves: readonly NamedMove[] = [...elementwise, ...structural, ...discrete, ...loops];
