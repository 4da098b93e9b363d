/** Vector-Jacobian product of dot_general: each side is a contraction of the cotangent with the other operand. */
import { freeAxes } from "../../ir/infer/contraction.ts";
import { emit1 } from "../../trace/builder.ts";
import type { Tracer } from "../../trace/tracer.ts";
import type { BackwardRule } from "../rule.ts";

const range = (start: number, count: number): number[] => Array.from({ length: count }, (_, i) => start + i);

/** Where each axis of `x` went in the list; the permutation that puts the list's order back to 0, 1, 2, ... */
function invert(order: readonly number[]): number[] {
  const inverse = new Array<number>(order.length);
  order.forEach((axis, i) => {
    inverse[axis] = i;
  });
  return inverse;
}

interface Side {
  readonly operand: Tracer;
  readonly batch: readonly number[];
  readonly contracting: readonly number[];
  readonly free: readonly number[];
}

/**
 * Cotangent of `self`: g is [batch, left free, right free]; contract it with `other` over other's free axes, giving
 * [batch, self free, self contracting], then put the axes back in self's order.
 */
function cotangentOf(g: Tracer, self: Side, other: Side, selfIsLeft: boolean): Tracer {
  const b = self.batch.length;
  const otherFreeInG = selfIsLeft ? range(b + self.free.length, other.free.length) : range(b, other.free.length);
  const product = emit1("dot_general", [g, other.operand], {
    contracting: [otherFreeInG, other.free],
    batch: [range(0, b), other.batch],
  });
  // The axes left of `other` come in increasing order; pair each with the axis of self that it was contracted with.
  const pairs = other.contracting
    .map((axis, i) => [axis, self.contracting[i] ?? 0] as const)
    .sort((p, q) => p[0] - q[0]);
  const order = [...self.batch, ...self.free, ...pairs.map(([, axis]) => axis)];
  const permutation = invert(order);
  return permutation.every((axis, i) => axis === i) ? product : emit1("transpose", [product], { permutation });
}

export const dot_general: BackwardRule<"dot_general"> = ([g], { inputs: [a, b], params, needs }) => {
  if (!g || !a || !b) return [null, null];
  const [left, right] = [a, b].map((operand, i): Side => {
    const [batch, contracting] = [params.batch[i === 0 ? 0 : 1], params.contracting[i === 0 ? 0 : 1]];
    return { operand, batch, contracting, free: freeAxes(operand.rank, batch, contracting) };
  });
  if (!left || !right) return [null, null];
  return [
    needs[0] === true ? cotangentOf(g, left, right, true) : null,
    needs[1] === true ? cotangentOf(g, right, left, false) : null,
  ];
};
