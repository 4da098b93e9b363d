/** The word problem of A5, learnt by one layer in minutes, and shown at lengths that it was not trained on. */
import type { RunPlan } from "../run/index.ts";
import type { Story } from "./story.ts";

/** Longest length in training; evaluation goes to five times it. */
const LENGTH = 16;

/** All 60 elements as inputs, by one FP-Mamba layer of 64 channels; lengths grow from 3 as they are learnt. */
export function a5Plan(seed: number): RunPlan {
  return {
    version: 1,
    task: { name: "word-problem", options: { group: "A5", score: "group" } },
    lengths: { kind: "curriculum", from: 3, to: LENGTH, threshold: 0.9 },
    model: {
      kind: "fp-mamba",
      dState: 4,
      dModel: 64,
      expand: 1,
      layers: 1,
      mixer: { kind: "householder", rank: 4, gain: 2 },
      solver: { kind: "sequential", tol: 0.03, maxSteps: 40 },
      adjoint: { kind: "through-time" },
    },
    optimizer: { learningRate: 3e-3, schedule: "constant", weightDecay: 0.01, clip: 1 },
    batch: 512,
    // Past 99 % at the trained length, further steps lift the long ones.
    steps: 2500,
    seed,
    target: null,
    timeLimit: 290,
  };
}

export const a5Story: Story = {
  plan: a5Plan,
  lengths: [1, 2, 3, 4, 5].map((factor) => factor * LENGTH),
  // Some 10 s; all of it would be half a minute.
  second: { lengths: [LENGTH, 5 * LENGTH], batch: 128, batches: 1 },
  wanted: [
    { length: LENGTH, accuracy: 0.99 },
    { length: 5 * LENGTH, accuracy: 0.8 },
  ],
  meaning:
    "The group A5 is not solvable, so following products in it is as hard as a regular language gets: a fixed number of\n" +
    "diagonal layers cannot at every length, unless TC0 = NC1 (Merrill et al., arXiv 2404.08819). This one layer saw strings\n" +
    `of at most ${LENGTH}. Near-equal figures with both solvers mean that it computes a fixed point, and not its solver.`,
};
