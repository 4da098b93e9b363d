/** The axes of a reduction, merged where they can be: first the kept ones, then the reduced ones. */
import { accessesOf, groupAxes, mapAll, regroup } from "./collapse.ts";
import type { Expression } from "./expression.ts";
import type { ReduceKernel, Store } from "./program.ts";

export interface ReducePlan {
  readonly sizes: readonly number[];
  readonly kept: readonly number[];
  readonly reduced: readonly number[];
  readonly value: Expression;
  readonly stores: readonly Store[];
}

export function planReduce(kernel: ReduceKernel): ReducePlan {
  const all = [...kernel.shape, ...kernel.reduced];
  const axes = all.map((_, axis) => axis);
  const accesses = accessesOf([kernel.value], kernel.stores.map(padded(all.length)));
  const keptGroups = groupAxes(all, axes.slice(0, kernel.shape.length), accesses);
  const reducedGroups = groupAxes(all, axes.slice(kernel.shape.length), accessesOf([kernel.value], []));
  const { sizes, access } = regroup(all, [...keptGroups, ...reducedGroups]);
  const { expressions, stores } = mapAll([kernel.value], kernel.stores.map(padded(all.length)), access);
  const [value = kernel.value] = expressions;
  return {
    sizes,
    kept: keptGroups.map((_, axis) => axis),
    reduced: reducedGroups.map((_, axis) => keptGroups.length + axis),
    value,
    stores,
  };
}

/** A store over the kept axes only does not move along the others. */
function padded(rank: number): (store: Store) => Store {
  return (store) => ({
    ...store,
    access: {
      ...store.access,
      strides: [...store.access.strides, ...new Array<number>(rank - store.access.strides.length).fill(0)],
    },
  });
}
