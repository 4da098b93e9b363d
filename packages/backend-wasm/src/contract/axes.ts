/** Groups of axes as one flat index each: merged strides of an operand, and the arithmetic that takes an index apart. */
import type { Expr, FunctionBuilder, I32 } from "../wasm/index.ts";
import { i32 } from "../wasm/index.ts";

/** One axis of an operand; the stride in bytes. */
export interface Axis {
  readonly size: number;
  readonly stride: number;
}

export const asExpr = (value: I32): Expr<"i32"> => (typeof value === "number" ? i32.const(value) : value);

export function plus(a: I32, b: I32): I32 {
  if (typeof a === "number" && typeof b === "number") return a + b;
  if (a === 0) return b;
  return b === 0 ? a : i32.add(a, b);
}

export function minus(a: I32, b: I32): I32 {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return b === 0 ? a : i32.sub(a, b);
}

export function times(a: I32, factor: number): I32 {
  if (typeof a === "number") return a * factor;
  if (factor === 0) return 0;
  return factor === 1 ? a : i32.mul(a, factor);
}

/** `a` where it is a number; else a local that keeps its value, so that using it twice does not compute it twice. */
export function keep(f: FunctionBuilder, value: I32): I32 {
  return typeof value === "number" || value.place?.kind === "local" ? value : f.let(value);
}

/** Axes without those of size 1, and with neighbours joined where one stride covers both. */
export function mergedAxes(axes: readonly Axis[]): readonly Axis[] {
  const merged: Axis[] = [];
  for (const axis of axes) {
    const outer = merged.at(-1);
    if (axis.size === 1) continue;
    if (outer?.stride === axis.stride * axis.size) {
      merged[merged.length - 1] = { size: outer.size * axis.size, stride: axis.stride };
    } else {
      merged.push(axis);
    }
  }
  return merged;
}

/** The stride of a group that is one axis, 0 for none; undefined where an index has to be taken apart. */
export function singleStride(axes: readonly Axis[]): number | undefined {
  return axes.length > 1 ? undefined : (axes[0]?.stride ?? 0);
}

/** The index along each axis of a flat row-major index. */
export function indicesOf(f: FunctionBuilder, flat: I32, sizes: readonly number[]): I32[] {
  const last = sizes.findLastIndex((size) => size !== 1);
  const first = sizes.findIndex((size) => size !== 1);
  let rest = flat;
  const indices = new Array<I32>(sizes.length).fill(0);
  for (let axis = last; axis >= 0; axis--) {
    const size = sizes[axis] ?? 1;
    if (size === 1) continue;
    if (axis === first) {
      indices[axis] = rest;
      break;
    }
    if (typeof rest === "number") {
      indices[axis] = rest % size;
      rest = Math.floor(rest / size);
    } else {
      indices[axis] = f.let(i32.rem_u(rest, size));
      rest = f.let(i32.div_u(rest, size));
    }
  }
  return indices;
}

/** Bytes from the first element of a group of axes to the one at a flat index. */
export function offsetOf(f: FunctionBuilder, flat: I32, axes: readonly Axis[]): I32 {
  const sizes = axes.map(({ size }) => size);
  return indicesOf(f, flat, sizes).reduce(
    (offset, index, axis) => plus(offset, times(index, axes[axis]?.stride ?? 0)),
    0,
  );
}
