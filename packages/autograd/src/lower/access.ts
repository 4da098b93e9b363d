/** Affine index maps: which element a loop nest touches, as an offset and a stride per axis. Movement is arithmetic on them. */
import { dimOf, type Shape, stridesOf } from "../ir/tensor-type.ts";

/** The counter of a loop that encloses a kernel; its value is the index of the current step. */
export interface LoopCounter {
  readonly name: string;
}

/** offset + sum over axes of stride * index + sum over enclosing loops of stride * counter, in elements. */
export interface Access {
  readonly offset: number;
  /** One per axis of the iteration space. */
  readonly strides: readonly number[];
  /** Enclosing loops that move the access, if any. */
  readonly loops: readonly { readonly counter: LoopCounter; readonly stride: number }[];
}

/** The whole of a row-major tensor. */
export function wholeOf(shape: Shape): Access {
  return { offset: 0, strides: stridesOf(shape), loops: [] };
}

export function sameAccess(a: Access, b: Access): boolean {
  return (
    a.offset === b.offset &&
    a.strides.length === b.strides.length &&
    a.strides.every((stride, axis) => stride === b.strides[axis]) &&
    a.loops.length === b.loops.length &&
    a.loops.every(({ counter, stride }, i) => counter === b.loops[i]?.counter && stride === b.loops[i].stride)
  );
}

/** Equal where it matters: strides of axes of size 1 are never multiplied by anything but 0. */
export function sameOn(shape: Shape, a: Access, b: Access): boolean {
  const seen = (access: Access): Access =>
    withStrides(
      access,
      access.strides.map((stride, axis) => (shape[axis] === 1 ? 0 : stride)),
    );
  return sameAccess(seen(a), seen(b));
}

/** Written out, as thousands of accesses are: to V8, what a spread makes is of another shape in every place. */
export function withStrides({ offset, loops }: Access, strides: readonly number[]): Access {
  return { offset, strides, loops };
}

export function transposed(access: Access, permutation: readonly number[]): Access {
  return withStrides(
    access,
    permutation.map((axis) => dimOf(access.strides, axis)),
  );
}

/** Axes that are repeated or new do not move the access. */
export function broadcasted(access: Access, from: Shape, shape: Shape, dims: readonly number[]): Access {
  const strides = shape.map((size, axis) => {
    const source = dims.indexOf(axis);
    if (source === -1 || (from[source] === 1 && size !== 1)) return 0;
    return dimOf(access.strides, source);
  });
  return withStrides(access, strides);
}

export function sliced(access: Access, start: readonly number[], steps: readonly number[]): Access {
  return {
    offset: start.reduce((offset, from, axis) => offset + from * dimOf(access.strides, axis), access.offset),
    strides: access.strides.map((stride, axis) => stride * dimOf(steps, axis)),
    loops: access.loops,
  };
}

/** Axis 0 becomes the counter of a loop. */
export function steppedBy(access: Access, counter: LoopCounter): Access {
  const [stride = 0, ...strides] = access.strides;
  return { offset: access.offset, strides, loops: [...access.loops, { counter, stride }] };
}

/**
 * The same elements in the same order under another shape, or null where no strides express that. Axes are matched in
 * groups of equal extent; within a group the old axes must be evenly spaced.
 */
export function reshaped(access: Access, from: Shape, to: Shape): Access | null {
  if (from.includes(0)) {
    return withStrides(
      access,
      to.map(() => 0),
    );
  }
  const old = from
    .map((size, axis) => ({ size, stride: dimOf(access.strides, axis) }))
    .filter(({ size }) => size !== 1);
  const strides = new Array<number>(to.length).fill(0);
  let next = 0;
  let axis = 0;
  while (axis < to.length) {
    if (to[axis] === 1) {
      axis++;
      continue;
    }
    const first = axis;
    let target = dimOf(to, axis++);
    let source = old[next++];
    if (source === undefined) return null;
    let { size, stride } = source;
    while (size !== target) {
      if (size < target) {
        source = old[next++];
        if (source === undefined || stride !== source.stride * source.size) return null;
        size *= source.size;
        stride = source.stride;
      } else {
        if (axis >= to.length) return null;
        target *= dimOf(to, axis++);
      }
    }
    for (let inner = axis - 1; inner >= first; inner--) {
      if (to[inner] === 1) continue;
      strides[inner] = stride;
      stride *= dimOf(to, inner);
    }
  }
  return withStrides(access, strides);
}
