/** Kernels over blocks of rows, in one form: axes are rows, columns and terms, whatever shapes they were written in. */
import {
  type Access,
  accessesOf,
  type Combine,
  type Expression,
  type Kernel,
  mapAll,
  type MapKernel,
  type ReduceKernel,
  reshaped,
  sizeOf,
  type Store,
} from "@banach/autograd/backend";

/** What a workgroup has at hand: so many rows of so many columns. */
export interface RowShape {
  readonly rows: number;
  readonly columns: number;
}

/**
 * A kernel as its invocations see it: results [rows, columns] if wide, else [rows, 1].
 * - `wide`, `narrow`: each by itself, of [rows, columns or 1, terms] if it is a reduction.
 * - `across`: one for each row, combined over its columns: [rows, columns].
 */
export interface RowKernel {
  readonly form: "wide" | "narrow" | "across";
  /** Null for a map. */
  readonly reduction: { readonly combine: Combine; readonly value: Expression; readonly terms: number } | null;
  readonly stores: readonly Store[];
}

/** Terms that one invocation adds up by itself. */
const ALONE = 16;

/** Null for a kernel that is not one over these rows. */
export function rowKernel(kernel: Kernel, { rows, columns }: RowShape): RowKernel | null {
  if (kernel.kind !== "map" && kernel.kind !== "reduce") return null;
  const points = sizeOf(kernel.shape);
  const isWide = points === rows * columns && columns > 1;
  if (!isWide && points !== rows) return null;
  const space = [rows, isWide ? columns : 1];
  if (kernel.kind === "map") {
    const stores = storesOver(kernel, space);
    return stores && { form: isWide ? "wide" : "narrow", reduction: null, stores };
  }
  const terms = sizeOf(kernel.reduced);
  const isAcross = !isWide && terms === columns;
  if (kernel.combine === "argmax" || (terms > ALONE && !isAcross)) return null;
  const stores = storesOver(kernel, space);
  const value = valueOver(kernel, isAcross ? [rows, columns] : [...space, terms]);
  if (stores === null || value === null) return null;
  const form = isWide ? "wide" : isAcross ? "across" : "narrow";
  return { form, reduction: { combine: kernel.combine, value, terms }, stores };
}

/** Rows and columns of the reductions across columns, each as often as there is one. */
export function acrossShape({ shape, reduced, combine }: ReduceKernel): RowShape | null {
  return combine === "argmax" ? null : { rows: sizeOf(shape), columns: sizeOf(reduced) };
}

function storesOver(kernel: MapKernel | ReduceKernel, space: readonly number[]): readonly Store[] | null {
  const move = mover(accessesOf([], kernel.stores), kernel.shape, space);
  return move && mapAll([], kernel.stores, move).stores;
}

function valueOver({ shape, reduced, value }: ReduceKernel, space: readonly number[]): Expression | null {
  const move = mover(accessesOf([value], []), [...shape, ...reduced], space);
  return move && (mapAll([value], [], move).expressions[0] ?? null);
}

/** Maps accesses from one shape to another, if all of them can be. */
function mover(
  accesses: readonly Access[],
  from: readonly number[],
  to: readonly number[],
): ((access: Access) => Access) | null {
  const moved = new Map<Access, Access>();
  for (const access of accesses) {
    const there = reshaped(access, from, to);
    if (there === null) return null;
    moved.set(access, there);
  }
  return (access) => moved.get(access) ?? access;
}
