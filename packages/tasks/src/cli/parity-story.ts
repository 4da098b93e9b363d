/** Parity, learnt by one layer in seconds, and shown to hold at lengths that it was not trained on; a diagonal layer beside. */
import type { FixedPointPlan, RunPlan } from "../run/index.ts";
import type { Story } from "./story.ts";

/** Longest length in training; evaluation goes to sixteen times it. */
const LENGTH = 16;

const LENGTHS: readonly number[] = [LENGTH, 4 * LENGTH, 16 * LENGTH];

/** Parity by one FP-Mamba layer of 32 channels whose mixer is one reflection. */
export function parityPlan(seed: number): FixedPointPlan {
  return {
    version: 1,
    task: { name: "word-problem", options: { group: "Z2", score: "group" } },
    lengths: { kind: "uniform", from: 2, to: LENGTH },
    model: {
      kind: "fp-mamba",
      dState: 4,
      dModel: 32,
      expand: 1,
      layers: 1,
      mixer: { kind: "householder", rank: 1, gain: 1 },
      solver: { kind: "sequential", tol: 0.03, maxSteps: 40 },
      adjoint: { kind: "through-time" },
    },
    optimizer: { learningRate: 3e-3, schedule: "constant", weightDecay: 0.01, clip: 1 },
    batch: 64,
    steps: 900,
    seed,
    // So many, because what comes after the first perfect batches is what carries over to longer sequences.
    target: { accuracy: 0.999, batches: 10 },
    timeLimit: 120,
  };
}

/** One plain Mamba layer of the same sizes: what the other would be without its mixer. */
function baselinePlan(plan: RunPlan): RunPlan {
  return { ...plan, model: { kind: "mamba", dState: 4, dModel: 32, expand: 1, layers: 1 } };
}

export const parityStory: Story = {
  plan: parityPlan,
  lengths: LENGTHS,
  // Some seconds; all of the sequences would be half a minute.
  second: { lengths: LENGTHS, batch: 32, batches: 1 },
  wanted: [1, 16].map((factor) => ({ length: factor * LENGTH, accuracy: 0.99 })),
  // It has about a half where it does not guess.
  baseline: { name: "one plain Mamba layer", plan: baselinePlan, fails: [{ length: 16 * LENGTH, below: 0.9 }] },
  meaning:
    "One layer whose recurrence is diagonal, with entries between 0 and 1, cannot keep parity; the first one computes a\n" +
    `dense recurrence as the fixed point of a diagonal one, and does. It was trained on lengths up to ${LENGTH}: equal figures at\n` +
    "longer lengths, and with both solvers, mean that it has learnt the rule and not its lengths or its solver.",
};
