/** Vector-Jacobian products of gather and scatter_add, which are each other's. */
import { zerosLike } from "../../ops/creation.ts";
import { and, greaterEqual, less, where } from "../../ops/elementwise.ts";
import { emit1 } from "../../trace/builder.ts";
import type { Tracer } from "../../trace/tracer.ts";
import type { BackwardRule } from "../rule.ts";

/** gather with zeros where the index is out of range: such an update was dropped, so nothing flows back to it. */
function gatherOrZero(x: Tracer, indices: Tracer, axis: number): Tracer {
  const gathered = emit1("gather", [x, indices], { axis });
  const inside = and(greaterEqual(indices, 0), less(indices, x.dim(axis)));
  const dims = indices.shape.map((_, i) => axis + i);
  const mask = emit1("broadcast_in_dim", [inside], { shape: gathered.shape, dims });
  return where(mask, gathered, 0);
}

export const gather: BackwardRule<"gather"> = ([g], { inputs: [x, indices], params: { axis } }) => [
  g && x && indices ? emit1("scatter_add", [zerosLike(x), indices, g], { axis }) : null,
  null,
];

export const scatter_add: BackwardRule<"scatter_add"> = ([g], { inputs: [, indices], params: { axis }, needs }) => {
  if (!g || !indices) return [null, null, null];
  return [needs[0] === true ? g : null, null, needs[2] === true ? gatherOrZero(g, indices, axis) : null];
};
