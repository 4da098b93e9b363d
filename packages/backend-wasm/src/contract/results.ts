/** Where results go: flat indices become points of the kernel, vectors become what the host can store at once. */
import type { Expr, FunctionBuilder, I32 } from "../wasm/index.ts";
import { f32x4 } from "../wasm/index.ts";
import { asExpr, indicesOf, plus } from "./axes.ts";
import type { Contraction } from "./contraction.ts";
import type { ContractHost } from "./host.ts";

/** The place of a result by flat indices. */
export interface Place {
  readonly batch: I32;
  readonly row: I32;
  readonly column: I32;
}

export interface Results {
  /** Whether 4 columns from a multiple of 4 on can be stored together. */
  readonly vectors: boolean;
  /** Stores `lanes` adjacent columns; from a multiple of 4 on. */
  storeVector(f: FunctionBuilder, place: Place, value: Expr<"v128">, lanes: number): void;
  storeScalar(f: FunctionBuilder, place: Place, value: Expr<"f32"> | Expr<"i32">): void;
}

export function resultsOf(c: Contraction, host: ContractHost): Results {
  const { shape } = c;
  const last = shape.n.at(-1) ?? 1;
  // Along several n axes, 4 columns lie in one row of the last axis only if rows are whole vectors.
  const vectors = !c.swapped && (last === c.n || last % 4 === 0);
  const pointOf = (f: FunctionBuilder, { batch, row, column }: Place): Expr<"i32">[] => {
    const m = indicesOf(f, row, shape.m);
    const n = indicesOf(f, column, shape.n);
    return [...indicesOf(f, batch, shape.batch), ...(c.swapped ? [...n, ...m] : [...m, ...n])].map(asExpr);
  };
  const storeScalar: Results["storeScalar"] = (f, place, value) =>
    f.scope(() => host.storeScalar(f, pointOf(f, place), value));
  return {
    vectors,
    storeScalar,
    storeVector(f, place, value, lanes) {
      if (vectors) {
        f.scope(() => host.storeLanes(f, pointOf(f, place), value, lanes));
        return;
      }
      for (let lane = 0; lane < lanes; lane++) {
        storeScalar(f, { ...place, column: plus(place.column, lane) }, f32x4.extract_lane(value, lane));
      }
    },
  };
}
