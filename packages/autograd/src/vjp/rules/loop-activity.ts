/** Which equations in the body of a scan a gradient would have to flow through, over all of its steps. */
import { type Atom, type Equation, type EquationOf, isVar, type Var } from "../../ir/graph.ts";
import { isFloat } from "../../ir/tensor-type.ts";
import { type VjpTable, zeroCotangent } from "../rule.ts";

export interface ScanActivity {
  /** Per input of the scan: a gradient is wanted. */
  readonly needs: readonly boolean[];
  /** Per output of the scan: a cotangent comes in. */
  readonly given: readonly boolean[];
}

/** Equations of the body that depend on a wanted input and on which a given output depends, also by way of the carry. */
export function activeInScan(
  { body, consts, carry }: EquationOf<"scan">["params"],
  { needs, given }: ScanActivity,
  table: VjpTable,
): readonly Equation[] {
  const passes = body.equations.filter(({ primitive }) => table[primitive] !== zeroCotangent);
  const isCarry = (i: number): boolean => i >= consts && i < consts + carry;
  const varied = new Set<Atom>(body.inputs.filter((_, i) => needs[i] === true));
  for (let before = -1; before !== varied.size;) {
    before = varied.size;
    for (const { inputs, outputs } of passes) {
      if (inputs.some((atom) => varied.has(atom))) for (const v of floats(outputs)) varied.add(v);
    }
    body.inputs.forEach((v, i) => {
      const next = body.outputs[i - consts];
      if (isCarry(i) && next !== undefined && varied.has(next)) varied.add(v);
    });
  }
  const useful = new Set<Atom>(body.outputs.filter((_, i) => given[i] === true));
  for (let before = -1; before !== useful.size;) {
    before = useful.size;
    for (const { inputs, outputs } of passes.toReversed()) {
      if (outputs.some((v) => useful.has(v))) for (const atom of inputs) if (isVar(atom)) useful.add(atom);
    }
    body.inputs.forEach((v, i) => {
      const next = body.outputs[i - consts];
      if (isCarry(i) && next !== undefined && useful.has(v)) useful.add(next);
    });
  }
  return passes.filter(({ outputs }) => outputs.some((v) => varied.has(v) && useful.has(v)));
}

const floats = (outputs: readonly Var[]): readonly Var[] => outputs.filter((v) => isFloat(v.type.dtype));
