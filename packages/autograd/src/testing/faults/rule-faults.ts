/** Faults planted in copies of differentiation rules. */
import type { PrimitiveName } from "../../ir/primitives.ts";
import { add, div, exp, mul, neg, sub } from "../../ops/elementwise.ts";
import { pad, reshape, slice, sliceAxis, transpose } from "../../ops/movement.ts";
import { emit1 } from "../../trace/builder.ts";
import type { Tracer } from "../../trace/tracer.ts";
import type { BackwardRule, VjpRule, VjpTable } from "../../vjp/rule.ts";
import { vjpTable } from "../../vjp/table.ts";
import { backwardOf, type RuleFault, savingOf } from "./fault.ts";

function fault<P extends PrimitiveName>(name: string, primitive: P, rule: VjpRule<P>): RuleFault {
  const table: VjpTable = { ...vjpTable, [primitive]: rule };
  return { layer: "rule", name, primitive, table };
}

type Changed = (result: Tracer | null, i: number, g: Tracer) => Tracer | null;

/** The right rule with its results changed. */
function altered<P extends PrimitiveName>(primitive: P, change: Changed): BackwardRule<P> {
  const right = backwardOf(vjpTable, primitive);
  return (cotangents, context) => {
    const [g] = cotangents;
    return right(cotangents, context).map((result, i) => (g === undefined ? result : change(result, i, g)));
  };
}

const scaled =
  (factor: number): Changed =>
  (result) =>
    result && mul(result, factor);

/** The same along the axis, one step later or earlier, zeros moving in. */
function shifted(x: Tracer, axis: number, later: boolean): Tracer {
  const size = x.dim(axis);
  if (size === 0) return x;
  const kept = later ? sliceAxis(x, axis, 0, size - 1) : sliceAxis(x, axis, 1, size);
  return pad(
    kept,
    x.shape.map((_, i): readonly [number, number] => (i !== axis ? [0, 0] : later ? [1, 0] : [0, 1])),
  );
}

/** x without its first entry along the axis, zero in its place. */
function withoutFirst(x: Tracer, axis: number): Tracer {
  const size = x.dim(axis);
  if (size === 0) return x;
  return pad(
    sliceAxis(x, axis, 1, size),
    x.shape.map((_, i): readonly [number, number] => [i === axis ? 1 : 0, 0]),
  );
}

interface Recurrence {
  readonly dh: Tracer;
  readonly a: Tracer;
  readonly h: Tracer;
  readonly axis: number;
  readonly reverse: boolean;
}

/** A rule of the recurrence from wrong choices of the coefficient, the neighbour or the direction. */
function recurrence(make: (r: Recurrence) => readonly [Tracer, Tracer]): BackwardRule<"linear_recurrence"> {
  return ([dh], { inputs: [a], outputs: [h], params: { axis, reverse } }) =>
    dh && a && h ? make({ dh, a, h, axis, reverse }) : [null, null];
}

const run = (a: Tracer, b: Tracer, axis: number, reverse: boolean): Tracer =>
  emit1("linear_recurrence", [a, b], { axis, reverse });

const isSquare = (x: Tracer): boolean => x.rank === 2 && x.dim(0) === x.dim(1);

const scan = savingOf(vjpTable, "scan");

export const ruleFaults: readonly RuleFault[] = [
  fault(
    "flipped sign",
    "cos",
    altered("cos", (result) => result && neg(result)),
  ),
  fault("missing term", "div", ([g], { inputs: [, b] }) => [g && b ? div(g, b) : null, null]),
  fault("3 % scale", "tanh", altered("tanh", scaled(1.03))),
  fault("0.1 % scale", "exp", altered("exp", scaled(1.001))),
  fault(
    "0.1 % scale of one term",
    "mul",
    altered("mul", (result, i) => (i === 1 ? scaled(1.001)(result, i, result as Tracer) : result)),
  ),
  fault(
    "transposed weight",
    "dot_general",
    altered("dot_general", (result, i) => (result && i === 1 && isSquare(result) ? transpose(result) : result)),
  ),
  fault(
    "off-by-one time shift",
    "linear_recurrence",
    recurrence(({ dh, a, h, axis, reverse }) => {
      const g = run(shifted(a, axis, reverse), dh, axis, !reverse);
      // dL/da_t takes h_t where h_{t-1} belongs.
      return [mul(g, h), g];
    }),
  ),
  fault(
    "dropped boundary step",
    "linear_recurrence",
    recurrence(({ dh, a, h, axis, reverse }) => {
      const g = run(shifted(a, axis, reverse), dh, axis, !reverse);
      return [mul(g, shifted(h, axis, !reverse)), withoutFirst(g, axis)];
    }),
  ),
  fault(
    "swapped reverse",
    "linear_recurrence",
    recurrence(({ dh, a, h, axis, reverse }) => {
      const g = run(shifted(a, axis, reverse), dh, axis, reverse);
      return [mul(g, shifted(h, axis, !reverse)), g];
    }),
  ),
  fault(
    "coefficient of the same step in the backward of a log-space recurrence",
    "linear_recurrence",
    recurrence(({ dh, a, h, axis, reverse }) => {
      // a_t = exp(l_t): the adjoint of h_t is multiplied by a_{t+1}, not by a_t.
      const g = run(a, dh, axis, !reverse);
      return [mul(g, shifted(h, axis, !reverse)), g];
    }),
  ),
  fault("missing broadcast reduction", "broadcast_in_dim", ([g], { inputs: [x], params: { shape, dims } }) => {
    if (!g || !x) return [null];
    // Takes the first of the repeated elements instead of their sum.
    const ranges = shape.map((size, axis) => {
      const i = dims.indexOf(axis);
      return [0, i >= 0 && x.shape[i] === size ? size : Math.min(size, 1)] as const;
    });
    return shape.includes(0) ? [null] : [reshape(slice(g, ranges), x.shape)];
  }),
  fault("accumulated twice", "gather", ([g], { inputs: [x, indices], params: { axis } }) => {
    if (!g || !x || !indices) return [null, null];
    const once = emit1("scatter_add", [sub(x, x), indices, g], { axis });
    return [emit1("scatter_add", [once, indices, g], { axis }), null];
  }),
  fault("accumulated twice in a loop", "scan", {
    forward: scan.forward,
    backward: (cotangents, context) =>
      scan
        .backward(cotangents, context)
        .map((result, i) => (result && i < context.params.consts ? add(result, result) : result)),
  }),
  fault("last cotangent of the carry lost", "scan", {
    forward: scan.forward,
    backward: (cotangents, context) =>
      scan.backward(
        cotangents.map((g, i) => (i < context.params.carry ? null : g)),
        context,
      ),
  }),
  fault(
    "second operand's derivative at the wrong point",
    "pow",
    altered("pow", (result, i) => (result && i === 1 ? mul(result, exp(mul(result, 0.01))) : result)),
  ),
  fault("wrong derivative of its own", "custom_vjp_call", {
    forward: savingOf(vjpTable, "custom_vjp_call").forward,
    backward: (cotangents, context) =>
      savingOf(vjpTable, "custom_vjp_call")
        .backward(cotangents, context)
        .map((result, i) => (i === 0 ? result && mul(result, 1.03) : result)),
  }),
];
