/** What contractions do with their results, however they come by them. */
import { type Store, visitExpression } from "@banach/autograd/backend";
import { type ContractPlan, lastOf } from "./contract-plan.ts";
import { PointWriter, splitIndex } from "./point-writer.ts";
import { inQuads, isCheap, isQuad, NO_QUADS, quadReads, type QuadUse, storeQuads } from "./quads.ts";
import type { ShaderWriter } from "./shader-writer.ts";
import { range } from "./range.ts";

/** The results that an invocation has, and where they belong. */
export interface Results {
  readonly batch: readonly string[];
  /** Scalars by row and column. */
  readonly sums: readonly (readonly string[])[];
  /** Index along m of a row, along n of a column. */
  readonly row: (r: string) => string;
  readonly column: (c: string) => string;
  /** Whether some rows or columns may lie beyond the last. */
  readonly exceeds: { readonly m: boolean; readonly n: boolean };
}

/** Nodes of what is stored, over all results, up to which each result has its own code. */
const WRITTEN_OUT = 96;

/** Finishes and stores results: one after the other, or where that would be long, in a loop over a copy of them. */
export function storeResults(
  w: ShaderWriter,
  plan: ContractPlan,
  { batch, sums, row, column, exceeds }: Results,
): void {
  const [rows, columns] = [sums.length, sums[0]?.length ?? 0];
  const inside = (name: string, size: number, mayExceed: boolean): string =>
    mayExceed ? `if (${name} < ${size}u)` : "";
  const results = isLong(plan.stores, rows * columns) ? w.fresh("results") : null;
  if (results !== null) w.line(`var ${results} = array(${sums.flat().join(", ")});`);
  const each = (count: number, body: (index: string, number: number) => void): void => {
    if (results === null) {
      for (const index of range(count)) body(`${index}u`, index);
      return;
    }
    const index = w.fresh("e");
    w.block(`for (var ${index} = 0u; ${index} < ${count}u; ${index}++)`, () => {
      body(index, 0);
    });
  };
  const byQuads = plan.stores.some(({ buffer }) => w.isVector(buffer));
  const width = byQuads ? 4 : 1;
  each(rows, (r, rowNumber) => {
    const m = w.let(row(r), "m");
    w.block(inside(m, plan.size.m, exceeds.m), () => {
      const outer = [...batch, ...splitIndex(w, m, plan.axes.m)];
      each(columns / width, (c, number) => {
        const n = w.let(column(byQuads ? `(${c} * 4u)` : c), "n");
        w.block(inside(n, plan.size.n, exceeds.n), () => {
          const accumulated = range(width).map((i) => {
            if (results === null) return sums[rowNumber]?.[number * width + i] ?? "";
            return w.let(`${results}[${r} * ${columns}u + ${c} * ${width}u + ${i}u]`);
          });
          if (byQuads) {
            const quad = splitIndex(w, w.let(`${n} / 4u`, "n"), inQuads(plan.axes.n));
            storeQuads(w, plan.stores, [...outer, ...quad.slice(0, -1)], quad.at(-1) ?? "0u", accumulated);
          } else {
            const point = new PointWriter(w, [...outer, ...splitIndex(w, n, plan.axes.n)], {
              accumulated: accumulated[0] ?? "",
            });
            point.storeAll(plan.stores);
          }
        });
      });
    });
  });
}

/** The quads that results along n are stored to, and finished with, if an invocation has so many columns. */
export function quadsOfResults(plan: ContractPlan, columns: number): QuadUse {
  const { stores, axes } = plan;
  const last = lastOf(plan, "n");
  const suits =
    columns % 4 === 0 &&
    (axes.n.at(-1) ?? 1) % 4 === 0 &&
    stores.every(({ access }) => isQuad(access, last)) &&
    isCheap(stores);
  return suits ? { loads: quadReads(stores, last), stores: new Set(stores.map(({ buffer }) => buffer)) } : NO_QUADS;
}

function isLong(stores: readonly Store[], results: number): boolean {
  let nodes = 0;
  for (const { value } of stores) visitExpression(value, () => nodes++);
  return nodes * results > WRITTEN_OUT;
}
