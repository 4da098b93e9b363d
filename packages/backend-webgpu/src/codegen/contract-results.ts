/** What contractions do with their results, however they come by them. */
import { type Store, visitExpression } from "@banach/autograd/backend";
import type { ContractPlan } from "./contract-plan.ts";
import { PointWriter, splitIndex } from "./point-writer.ts";
import type { ShaderWriter } from "./shader-writer.ts";

export const range = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i);

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
  each(rows, (r, rowNumber) => {
    const m = w.let(row(r), "m");
    w.block(inside(m, plan.size.m, exceeds.m), () => {
      const mAxes = splitIndex(w, m, plan.axes.m);
      each(columns, (c, columnNumber) => {
        const n = w.let(column(c), "n");
        w.block(inside(n, plan.size.n, exceeds.n), () => {
          const named = sums[rowNumber]?.[columnNumber] ?? "";
          const accumulated = results === null ? named : w.let(`${results}[${r} * ${columns}u + ${c}]`);
          const axes = [...batch, ...mAxes, ...splitIndex(w, n, plan.axes.n)];
          new PointWriter(w, axes, { accumulated }).storeAll(plan.stores);
        });
      });
    });
  });
}

function isLong(stores: readonly Store[], results: number): boolean {
  let nodes = 0;
  for (const { value } of stores) visitExpression(value, () => nodes++);
  return nodes * results > WRITTEN_OUT;
}
