/** How far each tensor of a fixture may be from the expected one: 1e-9 in float64, and in float32 what its rounding does. */
import { Device } from "@banach/autograd";
import { reference } from "@banach/autograd/reference";
import { noisyBackend } from "../rounding/noise.ts";
import { compare, type Comparison, type Fixture, type Setting } from "./fixture.ts";
import { checkFixture } from "./index.ts";
import { EXACT, settingOn } from "./settings.ts";

/** Largest relative error of float64. */
export const TOLERANCE = 1e-9;

/** Runs with the rounding of float32 in one direction or the other, by chance, at every step. */
const PROBES = 5;

/** What a backend's run may go beyond the worst of the probes. */
const MARGIN = 2;

export interface Verdict extends Comparison {
  readonly budget: number;
  /** The error as part of its budget: 1 is the most. */
  readonly share: number;
}

/**
 * The comparisons of a fixture with their budgets, or null if what it describes is not built. Throws UnknownKindError.
 *
 * In float32 an error has to be judged by what the computation makes of rounding, which cancels here and grows there. So
 * the computation is run in float64 with each result moved up or down by all that a kernel may be wrong by
 * (`strictBudgets` of the conformance suite), inputs and constants as float32 holds them. The largest distance of such
 * runs from the one without noise, times MARGIN, is the budget: it depends on the program and on the budgets of kernels,
 * not on any backend and not on the fixture's numbers. (Monte Carlo arithmetic; Parker, UCLA CSD-970002, 1997.) Kernels
 * that keep to their budgets err less than the noise and rarely in step, so that they need a part of it only.
 */
export async function judgeFixture(setting: Setting, fixture: Fixture): Promise<Verdict[] | null> {
  const comparisons = await checkFixture(setting, fixture);
  if (comparisons === null) return null;
  const budgets = setting.dtype === "float64" ? null : await float32Budgets(fixture);
  return comparisons.map((comparison) => {
    const budget = budgets === null ? TOLERANCE : (budgets.get(comparison.what) ?? 0);
    return { ...comparison, budget, share: shareOf(comparison.error, budget) };
  });
}

/** A budget that is not finite allows nothing. */
function shareOf(error: number, budget: number): number {
  if (error === 0) return 0;
  return Number.isFinite(budget) ? error / budget : Infinity;
}

export function worstOf(verdicts: readonly Verdict[]): Verdict {
  return verdicts.reduce((a, b) => (b.share > a.share ? b : a));
}

export function formatVerdict({ what, error, budget }: Verdict): string {
  return `${error.toExponential(1)} of ${budget.toExponential(1)} in ${what}`;
}

type Budgets = ReadonlyMap<string, number>;

const known = new WeakMap<Fixture, Promise<Budgets>>();

function float32Budgets(fixture: Fixture): Promise<Budgets> {
  const budgets = known.get(fixture) ?? probe(fixture);
  known.set(fixture, budgets);
  return budgets;
}

async function probe(fixture: Fixture): Promise<Budgets> {
  await using quiet = await reference();
  const exact = (await checkFixture(settingOn(quiet, "float64"), fixture)) ?? [];
  const budgets = new Map<string, number>();
  for (let seed = 1; seed <= PROBES; seed++) {
    await using device = new Device(noisyBackend(seed));
    const noisy = await checkFixture({ device, dtype: "float64", exact: EXACT.float32 }, fixture);
    const found = new Map(noisy?.map((comparison) => [comparison.what, comparison.actual]));
    exact.forEach(({ what, actual }) => {
      const moved = found.get(what);
      if (!actual || !moved) return;
      const expected = { shape: actual.shape, data: Array.from(actual.data) };
      budgets.set(what, Math.max(budgets.get(what) ?? 0, MARGIN * compare(what, moved, expected).error));
    });
  }
  return budgets;
}
