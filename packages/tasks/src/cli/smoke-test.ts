/** A few training steps that are the same on every backend: whether they start to compute, and what. */
import type { Device } from "@banach/autograd";
import { buildRun } from "../models/build.ts";
import type { FixedPointModel } from "../run/index.ts";
import { type StepEvent, train } from "../train/index.ts";
import { parityPlan } from "./parity-story.ts";

const STEPS = 3;

/** Relative, of figures in float32 after so few steps: rounding is below a tenth of it. */
const TOLERANCE = 1e-4;

export interface SmokeTest {
  readonly steps: number;
  /** Of each step: the loss, in nats, and the norm of its gradient. */
  readonly figures: readonly number[];
  /** Compiling included. */
  readonly seconds: number;
}

/** Trains a small model for a few steps. */
export async function smokeTest(device: Device): Promise<SmokeTest> {
  const plan = parityPlan(0);
  // FP-RNN contracts, so that rounding stays what it is. A tolerance of 0: every backend makes as many iterations.
  const model: FixedPointModel = {
    kind: "fp-rnn",
    dModel: 8,
    expand: 2,
    layers: 1,
    mixer: { kind: "householder", rank: 1, gain: 1 },
    solver: { kind: "sequential", tol: 0, maxSteps: 4 },
    adjoint: { kind: "through-time" },
  };
  const parts = buildRun({ ...plan, model, lengths: { kind: "fixed", length: 8 } });
  const figures: number[] = [];
  const onStep = ({ loss, gradientNorm }: StepEvent): void => void figures.push(loss, gradientNorm);
  const { seconds } = await train({ ...parts, device, batch: 8, steps: STEPS, clip: 1, seed: 0, onStep });
  return { steps: STEPS, figures, seconds };
}

/** The largest relative difference of the figures, and whether it is one of rounding. */
export function compareSmokeTests(
  { figures }: SmokeTest,
  expected: SmokeTest,
): { readonly difference: number; readonly agrees: boolean } {
  // NaN if any is: Math.max keeps it.
  const difference = Math.max(...expected.figures.map((x, i) => Math.abs(((figures[i] ?? Number.NaN) - x) / x)));
  return { difference, agrees: difference <= TOLERANCE };
}
