/** Graph -> graph passes, each the identity in meaning, and the order in which a program goes through them. */
import type { Graph } from "../ir/graph.ts";
import { commonSubexpressions } from "./cse.ts";
import { deadCode } from "./dce.ts";
import { hoistSums } from "./hoist-sums.ts";
import { inline } from "./inline.ts";
import { mergePads } from "./merge-pads.ts";
import { simplify } from "./simplify.ts";

export type Pass = (graph: Graph) => Graph;

type PassName = "inline" | "simplify" | "commonSubexpressions" | "hoistSums" | "mergePads" | "deadCode";

/** Passes by name, in the order in which `optimize` runs them. */
export const passes: Readonly<Record<PassName, Pass>> = {
  inline,
  simplify,
  commonSubexpressions,
  hoistSums,
  mergePads,
  deadCode,
};

/** What every program goes through before a backend compiles it. */
export function optimize(graph: Graph): Graph {
  return Object.values(passes).reduce((current, pass) => pass(current), graph);
}

export { commonSubexpressions, deadCode, hoistSums, inline, mergePads, simplify };
