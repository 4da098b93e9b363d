/** Parity, learnt by one layer in seconds, and shown to hold at lengths that it was not trained on. */
import type { FixedPointPlan } from "../run/index.ts";
import type { Story } from "./story.ts";

/** Longest length in training; evaluation goes to four times it. */
const LENGTH = 16;

/** Parity by one FP-RNN layer of 16 channels with a Householder mixer of rank 2. */
export function parityPlan(seed: number): FixedPointPlan {
  return {
    version: 1,
    task: { name: "word-problem", options: { group: "Z2", score: "group" } },
    lengths: { kind: "uniform", from: 2, to: LENGTH },
    model: {
      kind: "fp-rnn",
      dModel: 16,
      expand: 2,
      layers: 1,
      mixer: { kind: "householder", rank: 2, gain: 1 },
      solver: { kind: "sequential", tol: 0.03, maxSteps: 40 },
      adjoint: { kind: "through-time" },
    },
    optimizer: { learningRate: 3e-3, schedule: "constant", weightDecay: 0.01, clip: 1 },
    batch: 64,
    steps: 900,
    seed,
    // So many, because what comes after the first perfect batches is what carries over to longer sequences.
    target: { accuracy: 0.999, batches: 10 },
    timeLimit: 240,
  };
}

export const parityStory: Story = {
  plan: parityPlan,
  lengths: [1, 2, 3, 4].map((factor) => factor * LENGTH),
  wanted: [{ length: LENGTH, accuracy: 0.99 }],
  meaning:
    "One layer whose recurrence is diagonal, with entries between 0 and 1, cannot keep parity; this one computes a dense\n" +
    `recurrence as the fixed point of a diagonal one, and does. It was trained on lengths up to ${LENGTH}: equal figures at\n` +
    "longer lengths, and at both tolerances, mean that it has learnt the rule and not its lengths or its solver.",
};
