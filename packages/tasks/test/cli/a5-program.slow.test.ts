/** The training step of the word problem of A5 as a program: what makes it fast must not be lost unnoticed. */
import { Device, jit, random } from "@banach/autograd";
import { isKernel, lower, type Program, visitSteps } from "@banach/autograd/backend";
import { wasmBackend } from "@banach/backend-wasm";
import { expect, test } from "vitest";
import { a5Plan } from "../../src/cli/a5-story.ts";
import { buildRun } from "../../src/models/build.ts";
import { initialState, trainStep } from "../../src/train/index.ts";

test("each sweep over time is one nest over blocks of rows", { timeout: 60_000 }, async () => {
  const plan = a5Plan(0);
  const parts = buildRun(plan);
  const programs: Program[] = [];
  const backend = await wasmBackend({ threads: 1 });
  await using device = new Device({
    ...backend,
    compile: (graph, options) => {
      programs.push(lower(graph));
      return backend.compile(graph, options);
    },
  });
  const state = initialState({ ...parts, seed: 0 });
  const batch = parts.task.sample(random.key(1), { batch: 32, length: 4 });
  await jit(trainStep({ ...parts, clip: 1 }), { device })(state.params, state.optimizer, batch);
  const [program] = programs;
  const time = 5;
  const sweeps: string[] = [];
  for (const step of program!.steps) {
    if (isKernel(step)) continue;
    visitSteps([step], (inner) => {
      if (inner.kind === "for" && inner.length === time) {
        expect(step.kind === "for" && step.locals !== null).toBe(true);
        sweeps.push(inner.reverse ? "reverse" : "forward");
      }
    });
  }
  expect(sweeps).toEqual(["forward", "reverse"]);
});
