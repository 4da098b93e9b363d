/** Fewer, longer loops: axes of size 1 go, and neighbours along which every access runs on become one axis. */
import { type Access, withStrides } from "./access.ts";
import { type Expression, mapAccess, rewriteExpression, visitExpression } from "./expression.ts";
import type { Store } from "./program.ts";

/** The accesses of expressions and stores, in one list. */
export function accessesOf(expressions: readonly Expression[], stores: readonly Store[]): readonly Access[] {
  const found: Access[] = stores.map(({ access }) => access);
  for (const root of [...expressions, ...stores.map(({ value }) => value)]) {
    visitExpression(root, (node) => {
      if (node.kind === "read" || node.kind === "index" || node.kind === "gather") found.push(node.access);
      if (node.kind === "bits") found.push(node.counter);
    });
  }
  return found;
}

/** A new axis as the run of old ones that it stands for. */
type Group = readonly number[];

/** Groups of `axes` (a range of old axes) that can be one loop each. */
export function groupAxes(
  shape: readonly number[],
  axes: readonly number[],
  accesses: readonly Access[],
): readonly Group[] {
  const groups: number[][] = [];
  for (const axis of axes) {
    if (shape[axis] === 1) continue;
    const last = groups.at(-1);
    const before = last?.at(-1);
    const runsOn = (access: Access): boolean =>
      before !== undefined && (access.strides[before] ?? 0) === (access.strides[axis] ?? 0) * (shape[axis] ?? 1);
    if (last !== undefined && accesses.every(runsOn)) last.push(axis);
    else groups.push([axis]);
  }
  return groups;
}

/** Size of each group, and the map of accesses to it: the stride of a group is that of its last axis. */
export function regroup(
  shape: readonly number[],
  groups: readonly Group[],
): { readonly sizes: readonly number[]; readonly access: (access: Access) => Access } {
  return {
    sizes: groups.map((group) => group.reduce((size, axis) => size * (shape[axis] ?? 1), 1)),
    access: (access) =>
      withStrides(
        access,
        groups.map((group) => access.strides[group.at(-1) ?? 0] ?? 0),
      ),
  };
}

/** An expression, and stores, with their accesses mapped; nodes shared among them stay shared. */
export function mapAll(
  expressions: readonly Expression[],
  stores: readonly Store[],
  access: (access: Access) => Access,
): { readonly expressions: readonly Expression[]; readonly stores: readonly Store[] } {
  const known = new Map<Expression, Expression>();
  const move = (root: Expression): Expression => rewriteExpression(root, (node) => mapAccess(node, access), known);
  return {
    expressions: expressions.map(move),
    stores: stores.map((store) => ({
      buffer: store.buffer,
      access: access(store.access),
      value: move(store.value),
    })),
  };
}
