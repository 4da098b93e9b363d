/** Packing: copies a block of an operand into strips that a tile reads front to back, whatever the operand's strides. */
import type { Part } from "../threads/index.ts";
import type { Expr, FunctionBuilder, I32, Local } from "../wasm/index.ts";
import { f32x4, i32, shuffle32x4 } from "../wasm/index.ts";
import type { Axis } from "./axes.ts";
import { asExpr, keep, offsetOf, plus, singleStride, times } from "./axes.ts";
import type { Operand } from "./contraction.ts";
import { elementBytes } from "./contraction.ts";
import { loadFloat, loadLanes, reach, strips } from "./emit-loops.ts";

/** Part of a flat index; `total` is the number of indices of the whole. */
export interface Span extends Part {
  readonly total: number;
}

/** The distance between the lines of a strip if it is one and the same in every strip. */
function lineStride(axes: readonly Axis[], width: number): number | undefined {
  const last = axes.at(-1);
  return last !== undefined && last.size % width === 0 ? last.stride : singleStride(axes);
}

/** Rows of 4 vectors to columns. */
function transposed(f: FunctionBuilder, [a, b, c, d]: readonly Expr<"v128">[]): Expr<"v128">[] {
  const zero = f32x4.const(0, 0, 0, 0);
  const interleave = (x: Expr<"v128"> = zero, y: Expr<"v128"> = zero): Local<"v128">[] => [
    f.let(shuffle32x4(x, y, [0, 4, 1, 5])),
    f.let(shuffle32x4(x, y, [2, 6, 3, 7])),
  ];
  return interleave(a, b).flatMap((ab, half) => {
    const cd = interleave(c, d)[half] ?? zero;
    return [shuffle32x4(ab, cd, [0, 1, 4, 5]), shuffle32x4(ab, cd, [2, 3, 6, 7])];
  });
}

/**
 * Packs the lines `free` (rows of the left operand, columns of the right one) over the steps `k`. Strips of `width` lines
 * follow each other; a strip has `width` floats for each step of k. In a narrower last strip, lines up to the next
 * multiple of 4 are zero.
 * @param width a multiple of 4
 * @param source address of the operand's first element
 */
export function emitPack(
  f: FunctionBuilder,
  operand: Operand,
  width: number,
  source: I32,
  free: Span,
  k: Part,
  target: Expr<"i32">,
): void {
  const stride = lineStride(operand.free, width);
  const stepBytes = singleStride(operand.k);
  const stripBytes = keep(f, times(k.count, elementBytes));
  strips(f, free.count, free.total, width, (start, lines) => {
    const first = plus(free.from, start);
    const to = f.local("i32", asExpr(plus(target, start === 0 ? 0 : i32.mul(start, stripBytes))));
    // Lines at one distance share a pointer that moves along k; others have one each, and the offset of k moves.
    const shared = stride === undefined ? 0 : keep(f, plus(source, offsetOf(f, first, operand.free)));
    const at = f.local("i32", asExpr(shared));
    const pointers = Array.from({ length: lines }, (_, line) =>
      stride === undefined ? f.let(asExpr(plus(source, offsetOf(f, plus(first, line), operand.free)))) : 0,
    );
    const line = (i: number): [Expr<"i32">, number] => reach(plus(at, pointers[i] ?? 0), i * (stride ?? 0));

    /** Runs the body for every `steps` steps of k that are left, moving both pointers. */
    const step = f.local("i32", k.from);
    const end = f.let(asExpr(plus(k.from, k.count)));
    const rounds = (steps: number, body: () => void): void => {
      f.while_(
        () => i32.le_s(i32.add(step, steps), end),
        () => {
          if (stepBytes === undefined) f.set(at, asExpr(plus(shared, offsetOf(f, step, operand.k))));
          body();
          if (stepBytes !== undefined) f.set(at, i32.add(at, steps * stepBytes));
          f.set(to, i32.add(to, steps * width * elementBytes));
          f.set(step, i32.add(step, steps));
        },
      );
    };
    if (stepBytes !== undefined) f.set(at, asExpr(plus(at, times(k.from, stepBytes))));

    if (stride === elementBytes) {
      rounds(1, () => {
        for (let i = 0; i < lines; i += 4)
          f.v128.store(to, loadLanes(at, i * elementBytes, lines - i), i * elementBytes);
      });
      return;
    }
    if (stepBytes === elementBytes) {
      rounds(4, () => {
        for (let i = 0; i < lines; i += 4) {
          const rows = Array.from({ length: Math.min(4, lines - i) }, (_, r) => f.let(loadLanes(...line(i + r), 4)));
          transposed(f, rows).forEach((column, s) => f.v128.store(to, column, (s * width + i) * elementBytes));
        }
      });
    }
    rounds(1, () => {
      for (let i = 0; i < lines; i++) f.f32.store(to, loadFloat(...line(i)), i * elementBytes);
      for (let i = lines; i % 4 !== 0; i++) f.f32.store(to, 0, i * elementBytes);
    });
  });
}
