/** Products by tiles: blocks that stay in cache, packed where the plan says so, tiles of them in registers. */
import type { Part } from "../threads/index.ts";
import type { Expr, FunctionBuilder, I32, Local } from "../wasm/index.ts";
import { f32, f32x4, i32, v128 } from "../wasm/index.ts";
import { asExpr, keep, offsetOf, plus, singleStride, times } from "./axes.ts";
import type { Contraction, Operand } from "./contraction.ts";
import { elementBytes } from "./contraction.ts";
import { blocks, each, strips } from "./emit-loops.ts";
import type { ContractBody, ContractHost } from "./host.ts";
import type { Span } from "./pack.ts";
import { emitPack } from "./pack.ts";
import type { TilePlan } from "./plan.ts";
import type { Results } from "./results.ts";
import type { Source } from "./tile.ts";
import { emitTile, multiplyAdd, vectorsFor } from "./tile.ts";

type Address = (f: FunctionBuilder) => Expr<"i32">;

/** A block: which rows, columns and steps of k. */
interface Block {
  readonly batch: I32;
  readonly m: Span;
  readonly n: Span;
  readonly k: Part;
}

/** Writes the contraction; the body of its function. */
export function tileEmitter(c: Contraction, plan: TilePlan, host: ContractHost, results: Results): ContractBody {
  const { tile, block } = plan;
  const width = 4 * tile.vectors;
  // Strips are whole vectors; a tile of another height is the only one.
  const height = 4 * vectorsFor(tile.rows);
  const strip = (lines: number, step: number): number => Math.ceil(lines / step) * step;
  const reserve = (floats: number): Address => host.scratch(floats * elementBytes);
  const packedLeft = plan.pack.left ? reserve(strip(block.m, height) * block.k) : undefined;
  const packedRight = plan.pack.right ? reserve(strip(block.n, width) * block.k) : undefined;
  const panelColumns = strip(block.n, width);
  const panel = plan.panel ? reserve(strip(block.m, tile.rows) * panelColumns) : undefined;
  const madd = multiplyAdd(host.relaxed);
  const manyK = c.k > block.k;

  return (f, share) => {
    const bases = { left: host.address(f, c.left.read), right: host.address(f, c.right.read) };
    const left = f.let(bases.left);
    const right = f.let(bases.right);
    const panelAt = panel === undefined ? undefined : f.let(panel(f));
    const leftAt = packedLeft === undefined ? undefined : f.let(packedLeft(f));
    const rightAt = packedRight === undefined ? undefined : f.let(packedRight(f));

    each(f, share.batch, (batch) => {
      const leftBase = keep(f, plus(left, offsetOf(f, batch, c.left.batch)));
      const rightBase = keep(f, plus(right, offsetOf(f, batch, c.right.batch)));
      const packRight = (n: Span, k: Block["k"]): void => {
        if (rightAt !== undefined) emitPack(f, c.right, width, rightBase, n, k, rightAt);
      };
      const multiply = (at: Block): void =>
        strips(f, at.n.count, c.n, width, (column, columns) => {
          const b = source(c.right, rightAt, rightBase, at.n, at.k, column, width);
          const rightStrip = { ...b, pointer: keep(f, b.pointer) };
          strips(f, at.m.count, c.m, tile.rows, (row, rows) => {
            const a = source(c.left, leftAt, leftBase, at.m, at.k, row, height);
            const tileAt = panelAt === undefined ? undefined : panelPlace(panelAt, row, column);
            const kept = tileAt === undefined ? undefined : f.let(tileAt);
            const sums = startSums(f, rows, columns, manyK ? kept : undefined, at.k.from);
            emitTile(f, sums, columns, a, rightStrip, at.k.count, madd);
            sums.forEach((vectors, r) =>
              vectors.forEach((sum, v) => {
                if (kept !== undefined) {
                  f.v128.store(kept, sum, (r * panelColumns + 4 * v) * elementBytes);
                  return;
                }
                const place = {
                  batch,
                  row: plus(plus(at.m.from, row), r),
                  column: plus(plus(at.n.from, column), 4 * v),
                };
                results.storeVector(f, place, sum, Math.min(4, columns - 4 * v));
              }),
            );
          });
        });

      blocks(f, share.n, block.n, (columnFrom, columns) => {
        const n = { from: columnFrom, count: columns, total: c.n };
        // One block of k: the right operand is packed once for all rows.
        if (!manyK) packRight(n, { from: 0, count: c.k });
        blocks(f, share.m, block.m, (rowFrom, rows) => {
          const m = { from: rowFrom, count: rows, total: c.m };
          blocks(f, { from: 0, count: c.k }, block.k, (from, count) => {
            const k = { from, count };
            if (manyK) packRight(n, k);
            if (leftAt !== undefined) emitPack(f, c.left, height, leftBase, m, k, leftAt);
            multiply({ batch, m, n, k });
          });
          if (panelAt !== undefined) finish(f, panelAt, { batch, m, n, k: { from: 0, count: c.k } });
        });
      });
    });
  };

  /** Where a tile reads an operand from its line `line` of the block on. */
  function source(
    operand: Operand,
    packed: Expr<"i32"> | undefined,
    base: I32,
    free: Span,
    k: Block["k"],
    line: I32,
    step: number,
  ): Source {
    if (packed !== undefined) {
      const stripAt = line === 0 ? 0 : times(i32.mul(asExpr(line), k.count), elementBytes);
      return { pointer: plus(packed, stripAt), step: step * elementBytes, line: elementBytes, padded: true };
    }
    const lineBytes = singleStride(operand.free) ?? 0;
    const stepBytes = singleStride(operand.k) ?? 0;
    const offset = plus(times(plus(free.from, line), lineBytes), times(k.from, stepBytes));
    return { pointer: plus(base, offset), step: stepBytes, line: lineBytes, padded: false };
  }

  function panelPlace(at: Expr<"i32">, row: I32, column: I32): Expr<"i32"> {
    return asExpr(plus(at, times(plus(times(row, panelColumns), column), elementBytes)));
  }

  /** Accumulators at zero, or in blocks of k after the first, at what the panel has. */
  function startSums(
    f: FunctionBuilder,
    rows: number,
    columns: number,
    at: Expr<"i32"> | undefined,
    k: I32,
  ): Local<"v128">[][] {
    const zero = f32x4.const(0, 0, 0, 0);
    const sums = Array.from({ length: rows }, () =>
      Array.from({ length: vectorsFor(columns) }, () => f.local("v128", zero)),
    );
    if (at === undefined) return sums;
    f.if_(k, () => {
      sums.forEach((vectors, r) =>
        vectors.forEach((sum, v) => f.set(sum, v128.load(at, (r * panelColumns + 4 * v) * elementBytes))),
      );
    });
    return sums;
  }

  /** Stores the results of a block from the panel, with one copy of what the host does to them. */
  function finish(f: FunctionBuilder, at: Expr<"i32">, { batch, m, n }: Block): void {
    f.range(0, m.count, 1, (r) => {
      const row = keep(f, plus(m.from, r));
      const rowAt = f.let(panelPlace(at, r, 0));
      const addressOf = (column: I32): Expr<"i32"> => asExpr(plus(rowAt, times(column, elementBytes)));
      const place = (column: I32) => ({ batch, row, column: plus(n.from, column) });
      if (results.vectors) {
        strips(f, n.count, c.n, 4, (column, lanes) =>
          results.storeVector(f, place(column), v128.load(addressOf(column)), lanes),
        );
      } else {
        f.range(0, n.count, 1, (column) => results.storeScalar(f, place(column), f32.load(addressOf(column))));
      }
    });
  }
}
