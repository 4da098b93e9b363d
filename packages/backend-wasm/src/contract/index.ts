/** Contractions as WebAssembly: one function for a kernel, with loops chosen by its sizes and strides. */
import { type ContractKernel, costOf } from "@banach/autograd/backend";
import type { Part, Team } from "../threads/index.ts";
import { type Func, type FunctionBuilder, i32 } from "../wasm/index.ts";
import { keep, times } from "./axes.ts";
import type { Contraction } from "./contraction.ts";
import { contractionOf, swapped } from "./contraction.ts";
import { dotEmitter } from "./dot.ts";
import type { ContractBody, ContractHost, ContractShare } from "./host.ts";
import type { ContractPlan, Division, PlanContext } from "./plan.ts";
import { divisionOf, planOf } from "./plan.ts";
import type { Results } from "./results.ts";
import { resultsOf } from "./results.ts";
import { scalarEmitter } from "./scalar.ts";
import { tileEmitter } from "./tiles.ts";

export type { ContractHost } from "./host.ts";

/** What chooses the loops; the default looks at sizes and strides. */
export type Planner = (c: Contraction, context: PlanContext) => ContractPlan;

function bodyOf(c: Contraction, plan: ContractPlan, host: ContractHost, results: Results): ContractBody {
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

export interface EmittedContract {
  readonly func: Func<readonly [], readonly []>;
  /** Whether every thread does a part; otherwise whoever calls it does all. */
  readonly shared: boolean;
}

/**
 * A function that does the contraction, or this thread's part of it. Each result reaches the host once, with its sum
 * complete; the order of its additions depends on sizes and strides only.
 * @throws TypeError unless both operands are float32, or both integers of 32 bits
 */
export function emitContract(kernel: ContractKernel, host: ContractHost, planner: Planner = planOf): EmittedContract {
  const { module, name, team } = host;
  const given = contractionOf(kernel);
  // A vector on the right becomes one on the left: the result's vectors then run along the matrix.
  const c = given.n === 1 && given.m > 1 ? swapped(given) : given;
  if (c.batch * c.m * c.n === 0) return { func: module.func(name, [], [], () => undefined), shared: false };
  const results = resultsOf(c, host);
  const epilogueCost = kernel.stores.reduce((cost, { value }) => cost + costOf(value), 0);
  const plan = planner(c, { vectors: results.vectors, epilogueCost });
  const division = team.size === 1 ? null : divisionOf(c, plan, team.size);
  const body = bodyOf(c, plan, host, results);
  const func = module.func(name, [], [], (f) => {
    body(f, shareOf(f, c, division, team));
  });
  return { func, shared: division !== null };
}

function shareOf(f: FunctionBuilder, c: Contraction, division: Division | null, team: Team): ContractShare {
  const whole = { batch: all(c.batch), m: all(c.m), n: all(c.n) };
  if (division === null) return whole;
  const { group, unit, units } = division;
  const { from, count } = team.part(f, units);
  const first = keep(f, times(from, unit));
  if (c[group] === units * unit) return { ...whole, [group]: { from: first, count: keep(f, times(count, unit)) } };
  // The last unit is not a whole one.
  const left = f.let(i32.sub(c[group], first));
  const most = times(count, unit);
  return { ...whole, [group]: { from: first, count: f.let(i32.select(most, left, i32.lt_s(most, left))) } };
}

const all = (count: number): Part => ({ from: 0, count });
