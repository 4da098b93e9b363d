/** Integers, one result at a time: loops that wrap as 32-bit arithmetic does, for signed and unsigned alike. */
import { i32 } from "../wasm/index.ts";
import { asExpr, keep, offsetOf, plus } from "./axes.ts";
import type { Contraction } from "./contraction.ts";
import { each } from "./emit-loops.ts";
import type { ContractBody, ContractHost } from "./host.ts";
import type { Results } from "./results.ts";

/** Writes the contraction; the body of its function. */
export function scalarEmitter(c: Contraction, host: ContractHost, results: Results): ContractBody {
  return (f, share) => {
    const left = f.let(host.address(f, c.left.read));
    const right = f.let(host.address(f, c.right.read));
    each(f, share.batch, (batch) => {
      const leftBase = keep(f, plus(left, offsetOf(f, batch, c.left.batch)));
      const rightBase = keep(f, plus(right, offsetOf(f, batch, c.right.batch)));
      each(f, share.m, (row) => {
        const rowAt = keep(f, plus(leftBase, offsetOf(f, row, c.left.free)));
        each(f, share.n, (column) => {
          const columnAt = keep(f, plus(rightBase, offsetOf(f, column, c.right.free)));
          const sum = f.local("i32", 0);
          f.range(0, c.k, 1, (k) => {
            const a = i32.load(asExpr(plus(rowAt, offsetOf(f, k, c.left.k))));
            const b = i32.load(asExpr(plus(columnAt, offsetOf(f, k, c.right.k))));
            f.set(sum, i32.add(sum, i32.mul(a, b)));
          });
          results.storeScalar(f, { batch, row, column }, sum);
        });
      });
    });
  };
}
