/** The innermost loop: a tile of results in registers, one step of k at a time. */
import type { Expr, FunctionBuilder, I32, Local } from "../wasm/index.ts";
import { f32x4, i32, v128 } from "../wasm/index.ts";
import { asExpr, plus, times } from "./axes.ts";
import { loadLanes, reach } from "./emit-loops.ts";

/** How a tile reads an operand: packed or in place, it is a pointer that moves along k. */
export interface Source {
  /** Address at the first step of k and the first line of the tile. */
  readonly pointer: I32;
  /** Bytes from one step of k to the next. */
  readonly step: number;
  /** Bytes from one line (row of the left operand, column of the right one) to the next. */
  readonly line: number;
  /** Whether a whole vector may be read at the last lines. */
  readonly padded: boolean;
}

/** sum + a * b, in lanes. */
export type MultiplyAdd = (a: Expr<"v128">, b: Expr<"v128">, sum: Expr<"v128">) => Expr<"v128">;

export const multiplyAdd = (relaxed: boolean): MultiplyAdd =>
  relaxed ? f32x4.relaxed_madd : (a, b, sum) => f32x4.add(sum, f32x4.mul(a, b));

/** Number of vectors that hold some columns. */
export const vectorsFor = (columns: number): number => Math.ceil(columns / 4);

/**
 * Copies of a step of k in a round of the loop. V8 looks for interrupts once a round, which costs a tenth of the speed if
 * every step pays for it. Between copies stands the test for the end, so that any k will do, and so that each copy is a
 * block of its own: in one block V8 would load for all copies first and run out of registers, at half the speed.
 */
const maxCopies = 8;

/**
 * Adds k steps to the accumulators, `sums[row][vector]`.
 * @param columns of the tile; the last vector may be partial
 */
export function emitTile(
  f: FunctionBuilder,
  sums: readonly (readonly Local<"v128">[])[],
  columns: number,
  left: Source,
  right: Source,
  k: I32,
  madd: MultiplyAdd,
): void {
  if (k === 0) return;
  const vectors = vectorsFor(columns);
  // A single vector leaves more rows, whose addresses take the registers that copies would need.
  const copies = vectors === 1 ? 1 : typeof k === "number" ? Math.min(k, maxCopies) : maxCopies;
  f.scope(() => {
    const a = f.local("i32", asExpr(left.pointer));
    const b = f.local("i32", asExpr(right.pointer));
    // The left operand's end ends the loop; if that operand does not move, a count does.
    const [counter, step] = left.step === 0 ? [f.local("i32", 0), 1] : [a, left.step];
    const end = f.let(asExpr(plus(counter, times(k, step))));
    f.block((exit) => {
      f.loop((again) => {
        for (let copy = 0; copy < copies; copy++) {
          if (copy > 0) f.brIf(exit, i32.eq(counter, end));
          f.scope(() => {
            const line = Array.from({ length: vectors }, (_, v) =>
              f.let(loadLanes(b, copy * right.step + 4 * v * right.line, right.padded ? 4 : columns - 4 * v)),
            );
            sums.forEach((row, r) => {
              const value = f.let(v128.load32_splat(...reach(a, r * left.line)));
              row.forEach((sum, v) => f.set(sum, madd(value, line[v] ?? value, sum)));
            });
            f.set(counter, i32.add(counter, step));
          });
        }
        if (right.step !== 0) f.set(b, i32.add(b, copies * right.step));
        f.brIf(again, i32.ne(counter, end));
      });
    });
  });
}
