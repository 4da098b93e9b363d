/** Compares a backend with the interpreter on a random program: what fuses and schedules is wrong on programs first. */
import { optimize } from "../../passes/index.ts";
import { evaluateGraph } from "../../reference/interpret.ts";
import type { Backend } from "../../runtime/backend.ts";
import { ConformanceError } from "../conformance/compare.ts";
import { runOn } from "../conformance/runner.ts";
import type { RandomGraph } from "../random-graphs.ts";

/** Sums are added in another order and functions rounded otherwise; over some thirty steps that may grow to this. */
const TOLERANCE = 2e-3;

/**
 * Runs a program of `randomGraph({ smooth: true })` on a backend, as it is and optimised, and compares every element of
 * every result with the interpreter's: to 2e-3 of the result's largest, or of 1 if that is smaller. Where the device may
 * assume that there are no NaN and no infinities, elements that are not finite are left out. Returns how many were compared;
 * rejects with ConformanceError at the first that differs. Nothing that it made is left on the backend.
 */
export async function compareRandomGraph(
  backend: Backend,
  { graph, inputs }: Pick<RandomGraph, "graph" | "inputs">,
): Promise<number> {
  const { ieeeNonFinite } = backend.limits;
  const expected = evaluateGraph(graph, inputs);
  let compared = 0;
  for (const [name, variant] of [["as it is", graph] as const, ["optimised", optimize(graph)] as const]) {
    const [run] = await runOn(backend, variant, inputs);
    for (const [k, want] of expected.entries()) {
      const actual = run?.outputs[k] ?? [];
      const finite = Array.from(want).filter(Number.isFinite);
      const tolerance = TOLERANCE * finite.reduce((most, x) => Math.max(most, Math.abs(x)), 1);
      for (const [i, x] of want.entries()) {
        if (!ieeeNonFinite && !Number.isFinite(x)) continue;
        if (!agree(x, actual[i] ?? NaN, tolerance)) {
          throw new ConformanceError(
            `the program, ${name}: element ${i} of result ${k} is ${actual[i]}, the interpreter says ${x} (tolerance ${tolerance.toExponential(2)})`,
          );
        }
        compared++;
      }
    }
  }
  return compared;
}

function agree(x: number, y: number, tolerance: number): boolean {
  return Object.is(x, y) || x === y || Math.abs(x - y) <= tolerance;
}
