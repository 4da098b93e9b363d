/** Products as dot products: both operands lie along k, so vectors run along k and are added up across lanes at the end. */
import type { Expr, FunctionBuilder, I32, Local } from "../wasm/index.ts";
import { f32x4, i32, shuffle32x4 } from "../wasm/index.ts";
import { asExpr, keep, offsetOf, plus, singleStride, times } from "./axes.ts";
import type { Contraction } from "./contraction.ts";
import { elementBytes } from "./contraction.ts";
import { each, loadLanes, strips } from "./emit-loops.ts";
import type { ContractBody, ContractHost } from "./host.ts";
import { DOT_TILE } from "./plan.ts";
import type { Results } from "./results.ts";
import { multiplyAdd } from "./tile.ts";

/** Accumulators that fit in registers next to the operands. */
const maxSums = 8;

const vectorBytes = 4 * elementBytes;

/** One vector from up to 4: the sum over the lanes of each. */
function laneSums(f: FunctionBuilder, vectors: readonly Expr<"v128">[]): Expr<"v128"> {
  const zero = f32x4.const(0, 0, 0, 0);
  const halves = [0, 2].map((first) => {
    const [a = zero, b = zero] = vectors.slice(first);
    return f.let(f32x4.add(shuffle32x4(a, b, [0, 4, 1, 5]), shuffle32x4(a, b, [2, 6, 3, 7])));
  });
  const [low = zero, high = zero] = halves;
  return f32x4.add(shuffle32x4(low, high, [0, 1, 4, 5]), shuffle32x4(low, high, [2, 3, 6, 7]));
}

/** Adds neighbours until one is left: chains that ran side by side, combined in a fixed order. */
function combined(f: FunctionBuilder, chains: readonly Expr<"v128">[]): Expr<"v128"> {
  let level = chains;
  while (level.length > 1) {
    const pairs = level;
    level = pairs.flatMap((a, i) => {
      const b = pairs[i + 1];
      if (i % 2 === 1) return [];
      return [b === undefined ? a : f.let(f32x4.add(a, b))];
    });
  }
  return level[0] ?? f32x4.const(0, 0, 0, 0);
}

/** Writes the contraction; the body of its function. */
export function dotEmitter(c: Contraction, host: ContractHost, results: Results): ContractBody {
  const madd = multiplyAdd(host.relaxed);
  const rowBytes = singleStride(c.left.free) ?? 0;
  const columnBytes = singleStride(c.right.free) ?? 0;

  /** rows x columns dot products; with fewer than 8 of them, each in several chains, as an addition takes 4 cycles. */
  function products(f: FunctionBuilder, rows: number, columns: number, left: I32, right: I32): Expr<"v128">[] {
    const chains = Math.max(1, Math.min(Math.floor(maxSums / (rows * columns)), Math.floor(c.k / 4)));
    const sums: Local<"v128">[][][] = Array.from({ length: rows }, () =>
      Array.from({ length: columns }, () =>
        Array.from({ length: chains }, () => f.local("v128", f32x4.const(0, 0, 0, 0))),
      ),
    );
    const a = f.local("i32", asExpr(left));
    const b = f.local("i32", asExpr(right));
    const step = (chain: number, lanes: number): void =>
      f.scope(() => {
        const at = chain * vectorBytes;
        const along = Array.from({ length: columns }, (_, j) => f.let(loadLanes(b, at + j * columnBytes, lanes)));
        sums.forEach((row, i) => {
          const value = f.let(loadLanes(a, at + i * rowBytes, lanes));
          along.forEach((other, j) => {
            const sum = row[j]?.[chain % chains];
            if (sum !== undefined) f.set(sum, madd(value, other, sum));
          });
        });
      });
    const round = 4 * chains;
    const whole = c.k - (c.k % round);
    const end = f.let(i32.add(a, whole * elementBytes));
    if (whole > 0) {
      f.loop((again) => {
        for (let chain = 0; chain < chains; chain++) step(chain, 4);
        f.set(a, i32.add(a, chains * vectorBytes));
        f.set(b, i32.add(b, chains * vectorBytes));
        f.brIf(again, i32.ne(a, end));
      });
    }
    for (let rest = 0; whole + rest < c.k; rest += 4) step(rest / 4, Math.min(4, c.k - whole - rest));
    return sums.map((row) =>
      laneSums(
        f,
        row.map((chain) => combined(f, chain)),
      ),
    );
  }

  return (f, { batch: batches, m, n }) => {
    const left = f.let(host.address(f, c.left.read));
    const right = f.let(host.address(f, c.right.read));
    each(f, batches, (batch) => {
      const leftBase = keep(f, plus(left, offsetOf(f, batch, c.left.batch)));
      const rightBase = keep(f, plus(right, offsetOf(f, batch, c.right.batch)));
      strips(f, m.count, c.m, Math.min(DOT_TILE.rows, c.m), (fromRow, rows) => {
        const row = keep(f, plus(m.from, fromRow));
        const leftAt = keep(f, plus(leftBase, times(row, rowBytes)));
        strips(f, n.count, c.n, Math.min(DOT_TILE.columns, c.n), (fromColumn, columns) => {
          const column = keep(f, plus(n.from, fromColumn));
          const rightAt = plus(rightBase, times(column, columnBytes));
          products(f, rows, columns, leftAt, rightAt).forEach((sum, r) =>
            results.storeVector(f, { batch, row: plus(row, r), column }, f.let(sum), columns),
          );
        });
      });
    });
  };
}
