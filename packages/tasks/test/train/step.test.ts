import { makeGraph, optimize, printGraph, random, valueAndGrad } from "@banach/autograd";
import { valueGradAndAdjoint } from "@banach/fprnn";
import { expect, test } from "vitest";
import { parityPlan } from "../../src/cli/parity-story.ts";
import { buildRun } from "../../src/models/build.ts";
import { type Params, readReport, type TracedBatch } from "../../src/train/index.ts";
import { measure } from "../../src/train/measures.ts";

const plan = parityPlan(0);
const size = { batch: 2, length: 3 };

test("an adjoint that solves nothing costs nothing: the program is as long as that of the gradient alone", () => {
  const { model, task } = buildRun(plan);
  const batch = task.sample(random.key(0), size);
  const params = model.init(random.key(1));
  const loss = (p: Params, given: TracedBatch) => measure(model.apply(p, given.inputs), given);
  const length = (f: (p: Params, given: TracedBatch) => unknown): number =>
    printGraph(optimize(makeGraph(f, params, batch))).split("\n").length;
  expect(length(valueGradAndAdjoint(loss))).toBe(length(valueAndGrad(loss)));
});

test.each([
  [1, { skipped: false, adjointFailed: 0 }],
  [0, { skipped: true, adjointFailed: 0 }],
  [5, { skipped: false, adjointFailed: 2 }],
  [6, { skipped: true, adjointFailed: 3 }],
])("outcome %i is read as %j", (outcome, expected) => {
  expect(readReport([1, 0.5, 0, 7, 9, 0, 0, 0.25, outcome, 1, 0])).toMatchObject({
    ...expected,
    gradientNorm: 0.25,
    right: [true, false],
  });
});
