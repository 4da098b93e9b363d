/** Layers and solvers whose iterations are counted, and the comparison over all of them. */
import type { Device } from "@banach/autograd";
import type { RunnerTestFile } from "vitest";
import { anderson, fpMamba, fpRnn, householder, picard, sequential, type SolverAndAdjoint } from "../../src/index.ts";
import { countsOn, type Expected, expectedSteps, type StepCase, type StepReport } from "./step-counts.ts";

type MakeLayer = StepCase["layer"];

const LAYERS = {
  "FP-RNN": ((options: SolverAndAdjoint) =>
    fpRnn({ dModel: 8, mixer: householder({ rank: 2 }), ...options })) as unknown as MakeLayer,
  "FP-Mamba": ((options: SolverAndAdjoint) =>
    fpMamba({ dModel: 8, dState: 4, mixer: householder(), ...options })) as unknown as MakeLayer,
};

const SOLVERS = {
  sequential: { solver: sequential },
  "picard, each by itself": { solver: (options) => picard({ ...options, rule: "each" }) },
  anderson: { solver: anderson },
  "picard, together": { solver: picard, together: true },
} satisfies Readonly<Record<string, Pick<StepCase, "solver" | "together">>>;

const caseOf = (
  layer: keyof typeof LAYERS,
  by: keyof typeof SOLVERS,
  tol: number,
  shape: StepCase["shape"],
): StepCase => ({ name: `${layer} by ${by}`, layer: LAYERS[layer], ...SOLVERS[by], tol, maxSteps: 60, shape });

export const STEP_CASES: readonly StepCase[] = [
  caseOf("FP-RNN", "sequential", 0.01, [24, 12, 8]),
  caseOf("FP-RNN", "picard, each by itself", 0.01, [16, 10, 8]),
  caseOf("FP-RNN", "anderson", 0.003, [16, 8, 8]),
  caseOf("FP-RNN", "picard, together", 0.03, [4, 10, 8]),
  caseOf("FP-Mamba", "sequential", 0.01, [16, 8, 8]),
  caseOf("FP-Mamba", "picard, each by itself", 0.03, [24, 6, 8]),
  caseOf("FP-Mamba", "anderson", 0.03, [16, 5, 8]),
  caseOf("FP-Mamba", "picard, together", 0.01, [4, 6, 8]),
];

export const SEEDS: readonly number[] = [0, 1, 2, 3, 4, 5, 6, 7];

const known = new Map<StepCase, readonly Promise<Expected>[]>();

/** What the reference does of a case, for every seed, solved once. */
export function expectedOf(step: StepCase): Promise<readonly Expected[]> {
  const solves = known.get(step) ?? SEEDS.map((seed) => expectedSteps(step, seed));
  known.set(step, solves);
  return Promise.all(solves);
}

/** Throws RangeError at the first sequence whose count rounding does not explain. */
export async function compareOn(device: Device, step: StepCase): Promise<StepReport> {
  const reports: StepReport[] = [];
  for (const [i, { compare }] of (await expectedOf(step)).entries()) {
    reports.push(await compare(await countsOn(device, step, SEEDS[i]!)));
  }
  return total(reports);
}

export function total(reports: readonly StepReport[]): StepReport {
  const sum = (key: "sequences" | "differ"): number => reports.reduce((all, report) => all + report[key], 0);
  const worstShare = Math.max(0, ...reports.map((report) => report.worstShare));
  return { sequences: sum("sequences"), differ: sum("differ"), worstShare };
}

/** Has the reporter print the counts of a place after the summary. */
export function announce({ meta }: RunnerTestFile, place: string, reports: readonly StepReport[]): void {
  const { sequences, differ, worstShare } = total(reports);
  const explained = `, each within its rounding bound of tol (${worstShare.toFixed(2)} of it at most)`;
  const line = `steps: ${sequences} sequences on ${place}, ${differ} differ${differ === 0 ? "" : explained}`;
  meta.reportLines = [...(meta.reportLines ?? []), line];
}
