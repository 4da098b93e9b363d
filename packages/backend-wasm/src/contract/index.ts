/** Contractions as WebAssembly: one function for a kernel, with loops chosen by its sizes and strides. */
import { type ContractKernel, costOf } from "@banach/autograd/backend";
import type { Func, FunctionBuilder } from "../wasm/index.ts";
import type { Contraction } from "./contraction.ts";
import { contractionOf, swapped } from "./contraction.ts";
import { dotEmitter } from "./dot.ts";
import type { ContractHost } from "./host.ts";
import type { ContractPlan, PlanContext } from "./plan.ts";
import { planOf } from "./plan.ts";
import type { Results } from "./results.ts";
import { resultsOf } from "./results.ts";
import { scalarEmitter } from "./scalar.ts";
import { tileEmitter } from "./tiles.ts";

export type { ContractHost } from "./host.ts";

/** What chooses the loops; the default looks at sizes and strides. */
export type Planner = (c: Contraction, context: PlanContext) => ContractPlan;

function bodyOf(
  c: Contraction,
  plan: ContractPlan,
  host: ContractHost,
  results: Results,
): (f: FunctionBuilder) => void {
  switch (plan.kind) {
    case "tiles":
      return tileEmitter(c, plan, host, results);
    case "dot":
      return dotEmitter(c, host, results);
    case "scalar":
      return scalarEmitter(c, host, results);
    default:
      return plan satisfies never;
  }
}

/**
 * A function that does the whole contraction. Each result reaches the host once, with its sum complete; the order of its
 * additions depends on sizes and strides only.
 * @throws TypeError unless both operands are float32, or both integers of 32 bits
 */
export function emitContract(kernel: ContractKernel, host: ContractHost, planner: Planner = planOf): Func<[], []> {
  const given = contractionOf(kernel);
  // A vector on the right becomes one on the left: the result's vectors then run along the matrix.
  const c = given.n === 1 && given.m > 1 ? swapped(given) : given;
  if (c.batch * c.m * c.n === 0) return host.module.func("contract", [], [], () => undefined);
  const results = resultsOf(c, host);
  const epilogueCost = kernel.stores.reduce((cost, { value }) => cost + costOf(value), 0);
  const body = bodyOf(c, planner(c, { vectors: results.vectors, epilogueCost }), host, results);
  return host.module.func("contract", [], [], (f) => body(f));
}
