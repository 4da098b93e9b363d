/** What a planted fault is: a rule or a kernel that is wrong on purpose, and must be caught. */
import type { PrimitiveName } from "../../ir/primitives.ts";
import type { BackwardRule, SavingRule, VjpTable } from "../../vjp/rule.ts";
import type { Graph } from "../../ir/graph.ts";

/** A differentiation rule that is wrong: the table of rules with one replaced. */
export interface RuleFault {
  readonly layer: "rule";
  readonly name: string;
  readonly primitive: PrimitiveName;
  readonly table: VjpTable;
}

/** A kernel that is wrong: what a program turns into on the backend that has it. */
export interface KernelFault {
  readonly layer: "kernel";
  readonly name: string;
  readonly primitive: PrimitiveName;
  readonly plant: (graph: Graph) => Graph;
}

export type Fault = RuleFault | KernelFault;

/** The plain backward rule of a primitive. Throws TypeError if it has another kind of rule. */
export function backwardOf<P extends PrimitiveName>(table: VjpTable, primitive: P): BackwardRule<P> {
  const rule = table[primitive];
  if (typeof rule === "function") return rule;
  throw new TypeError(`${primitive} has no plain backward rule`);
}

/** The saving rule of a primitive. Throws TypeError if it has another kind of rule. */
export function savingOf<P extends PrimitiveName>(table: VjpTable, primitive: P): SavingRule<P> {
  const rule = table[primitive];
  if (typeof rule === "object" && "forward" in rule) return rule;
  throw new TypeError(`${primitive} has no saving rule`);
}
