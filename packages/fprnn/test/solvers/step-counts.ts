/** Iterations of solves against those of the float32 reference; where they differ, whether rounding had to decide. */
import { Device, type HostTensor, key, random, type Tracer } from "@banach/autograd";
import { reference } from "@banach/autograd/reference";
import type { Layer, Solver, SolverAndAdjoint, SolverOptions, SolveStats } from "../../src/index.ts";
import { noisyBackend } from "../rounding/noise.ts";

/** A tree in truth; what is done with it here is the same for any. */
type Weights = Readonly<Record<string, Tracer>>;

export interface StepCase {
  readonly name: string;
  readonly layer: (options: SolverAndAdjoint) => Layer<Weights, unknown, SolveStats>;
  readonly solver: (options: SolverOptions) => Solver;
  /** Whether all sequences stop together, when the best residual so far of each meets the tolerance. */
  readonly together?: boolean;
  readonly tol: number;
  readonly maxSteps: number;
  /** [batch, time, dModel]. */
  readonly shape: readonly [number, number, number];
}

export interface StepReport {
  readonly sequences: number;
  /** Sequences whose counts differ. */
  readonly differ: number;
  /** Of those, the largest distance of a residual from tol, as part of its bound. */
  readonly worstShare: number;
}

/** The layer's weights and input are of the seed. */
async function solveOn(
  device: Device,
  { layer, solver, shape }: StepCase,
  seed: number,
  options: SolverOptions,
): Promise<Omit<SolveStats<HostTensor>, "residual">> {
  const made = layer({ solver: solver(options) });
  const x = random.normal(key(1000 + seed), shape);
  const program = (params: Weights, input: Tracer) => {
    const { status, iterations, residuals } = made.apply(params, input).stats;
    return { status, iterations, ...(residuals === undefined ? {} : { residuals }) };
  };
  const resident = await device.run(program, made.init(key(seed)), x);
  const stats = await device.get(resident);
  device.dispose(resident);
  return stats;
}

/** Iterations of each sequence. */
export async function countsOn(device: Device, step: StepCase, seed: number, tol = step.tol): Promise<number[]> {
  const { maxSteps } = step;
  return Array.from((await solveOn(device, step, seed, { tol, maxSteps })).iterations.data);
}

/** Of the reference, to the case's tolerance: [iteration, batch]. */
export async function residualsOf(step: StepCase, seed: number): Promise<HostTensor> {
  const { tol, maxSteps } = step;
  return (await solveOn(await reference(), step, seed, { tol, maxSteps, trace: true })).residuals!;
}

/** What the stopping rule held against tol for a sequence after an iteration, counted from 1. */
function decisive({ together }: StepCase, residuals: HostTensor, row: number, iteration: number): number {
  const batch = residuals.shape[1]!;
  const at = (b: number, i: number): number => residuals.data[(i - 1) * batch + b]!;
  if (together !== true) return at(row, iteration);
  const best = (b: number): number => Math.min(...Array.from({ length: iteration }, (_, i) => at(b, i + 1)));
  return Math.max(...Array.from({ length: batch }, (_, b) => best(b)));
}

/** Runs with the rounding of float32 in one direction or the other, by chance, at every step. */
const PROBES = 5;

/** What a backend's run may go beyond the worst of the probes. */
const MARGIN = 2;

/** Relative to tol. A problem that amplifies rounding to more would allow anything, and tell nothing. */
const LARGEST_BOUND = 5e-3;

/**
 * Rounding bounds of residuals, relative to tol, by the iteration and then the sequence.
 *
 * The residual r = max|f(y) - y| / max|f(y)| is a quotient of values whose error is that of f(y): about n u max|f(y)| where
 * a value is the result of n roundings and u = 2^-24 (Higham, Accuracy and Stability, 3.1), of all iterations up to this one
 * and, through y, of all steps of time. So r is known to about n u, whatever its size, and whether it is below tol to n u / tol.
 * What n is depends on how the map and the solver pass errors on: they fade where the map contracts, and grow in the least
 * squares of Anderson. It is measured: the same iterations are made with each result of a kernel moved up or down by all
 * that `strictBudgets` allow it, as in the budgets of the golden fixtures, and the largest distance that this moves r by,
 * times MARGIN, is n u. No tolerance ends these runs, so that they go on alike.
 */
function boundsOf(oracle: Device, step: StepCase, seed: number): (iteration: number, row: number) => Promise<number> {
  const known = new Map<number, Promise<readonly HostTensor[]>>();
  const probe = async (maxSteps: number): Promise<readonly HostTensor[]> => {
    const devices = [oracle, ...Array.from({ length: PROBES }, (_, i) => new Device(noisyBackend(i + 1)))];
    const solved: HostTensor[] = [];
    for (const device of devices) {
      solved.push((await solveOn(device, step, seed, { tol: 0, maxSteps, trace: true })).residuals!);
    }
    return solved;
  };
  return async (iteration, row) => {
    const solves = known.get(iteration) ?? probe(iteration);
    known.set(iteration, solves);
    const [quiet, ...noisy] = (await solves).map((residuals) => decisive(step, residuals, row, iteration));
    return (MARGIN * Math.max(...noisy.map((r) => Math.abs(r - quiet!)))) / step.tol;
  };
}

/** The counts of the float32 reference for a case and a seed, to hold others against. */
export interface Expected {
  readonly counts: readonly number[];
  /**
   * Compares. Where counts differ, the residual that the reference had at the smaller count must be within its rounding
   * bound of tol; throws RangeError where it is not.
   */
  readonly compare: (counts: readonly number[]) => Promise<StepReport>;
}

export async function expectedSteps(step: StepCase, seed: number): Promise<Expected> {
  const oracle = await reference();
  const { name, tol, maxSteps } = step;
  const { iterations, residuals } = await solveOn(oracle, step, seed, { tol, maxSteps, trace: true });
  const wanted = Array.from(iterations.data);
  const bound = boundsOf(oracle, step, seed);
  const compare: Expected["compare"] = async (counts) => {
    if (counts.length !== wanted.length) throw new RangeError(`${counts.length} counts for ${wanted.length} sequences`);
    let [differ, worstShare] = [0, 0];
    for (const [row, count] of counts.entries()) {
      const expected = wanted[row]!;
      if (count === expected) continue;
      const smaller = Math.min(count, expected);
      const who = `${name}, seed ${seed}, sequence ${row}: ${count} iterations, the reference makes ${expected}`;
      if (smaller < 1) throw new RangeError(`${who}, and none was made`);
      const residual = decisive(step, residuals!, row, smaller);
      const distance = Math.abs(residual / Math.fround(tol) - 1);
      const allowed = distance > LARGEST_BOUND ? LARGEST_BOUND : Math.min(await bound(smaller, row), LARGEST_BOUND);
      if (!(distance <= allowed)) {
        throw new RangeError(
          `${who}; at ${smaller} its residual is ${residual}, ${distance.toExponential(1)} from tol ${tol}, and rounding explains ${allowed.toExponential(1)} at most`,
        );
      }
      differ++;
      worstShare = Math.max(worstShare, distance / allowed);
    }
    return { sequences: wanted.length, differ, worstShare };
  };
  return { counts: wanted, compare };
}
