/** What a lowering rule is: it writes one equation into a block. */
import type { EquationOf, Graph } from "../ir/graph.ts";
import type { PrimitiveName } from "../ir/primitives.ts";
import type { Block, Value } from "./block.ts";

export interface Lowering {
  readonly block: Block;
  /** Writes the equations of a nested graph into a block, applied to values, and returns its results. */
  readonly inline: (block: Block, graph: Graph, args: readonly Value[]) => readonly Value[];
  /** An empty block over the same memory, for the body of a loop. */
  readonly nested: (graph: Graph) => Block;
}

export type LowerRule<P extends PrimitiveName> = (equation: EquationOf<P>, lowering: Lowering) => void;

export type LowerTable = { readonly [P in PrimitiveName]: LowerRule<P> };
