/** Rounding as noise: every result of float64 arithmetic is moved by as much as a float32 kernel may be wrong. */
import { type Backend, type Equation, type HostArray, isFloat, type PrimitiveName } from "@banach/autograd/backend";
import { gamma, strictBudgets } from "@banach/autograd/testing";
import { interpretingBackend } from "./backend.ts";
import type { Change } from "./interpret.ts";

/** Half the distance between neighbours among float32 numbers, relative. */
const UNIT = 2 ** -24;

/** Budgets call these rounded; of float32 operands their results are float32 as they are. */
const EXACT: ReadonlySet<PrimitiveName> = new Set<PrimitiveName>([
  "neg",
  "abs",
  "sign",
  "floor",
  "max",
  "min",
  "reduce_max",
  "convert_element_type",
]);

/** -1 or 1, by the generator xorshift32. */
function signs(seed: number): () => number {
  let state = Math.imul(seed, 0x9e3779b9) | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state < 0 ? -1 : 1;
  };
}

/**
 * Adds to each element, or takes from it, all that `strictBudgets` allow a kernel there: half a unit in the last place of
 * an exactly rounded operation, gamma_n * sum|terms| of a sum.
 */
export function kernelNoise(seed: number): Change {
  const sign = signs(seed);
  return (equation, operands, results, again) => {
    const radius = radiusOf(equation, operands, again);
    if (radius === null) return;
    equation.outputs.forEach(({ type }, k) => {
      const data = results[k]!;
      if (!isFloat(type.dtype)) return;
      for (let i = 0; i < data.length; i++) if (Number.isFinite(data[i])) data[i]! += sign() * radius(data[i]!, i);
    });
  };
}

/** The largest error of element i, whose value is y; null for operations that make none. */
function radiusOf(
  equation: Equation,
  operands: readonly HostArray[],
  again: (operands: readonly HostArray[]) => readonly HostArray[],
): ((y: number, i: number) => number) | null {
  const budget = strictBudgets[equation.primitive];
  switch (budget.kind) {
    case "bits":
      return null;
    case "rounded":
      return EXACT.has(equation.primitive) ? null : (y) => UNIT * Math.abs(y);
    case "elementwise":
      return (y, i) =>
        budget.tolerance(
          y,
          operands.map((x) => x[i]!),
        );
    case "accumulated": {
      const [terms] = again(operands.map((x) => x.map(Math.abs)));
      const factor = gamma(budget.roundings(equation));
      return (y, i) => factor * terms![i]! + 2 * UNIT * Math.abs(y);
    }
    case "composite":
      throw new RangeError(`${equation.primitive} is run step by step`);
    default:
      return budget satisfies never;
  }
}

/** A backend of float64 programs that take float32 inputs and compute as inaccurately as a float32 backend may. */
export function noisyBackend(seed: number): Backend {
  return interpretingBackend(`reference with the rounding of float32, seed ${seed}`, kernelNoise(seed));
}
