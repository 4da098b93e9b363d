import { key } from "@banach/autograd";
import { expect, test } from "vitest";
import { findBackend } from "../../src/cli/backends.ts";
import { parseGroup } from "../../src/groups/index.ts";
import { wordProblem } from "../../src/tasks/index.ts";
import { evaluate, type EvaluateOptions, type EvaluationRow, tolerances } from "../../src/train/index.ts";
import { phaseModel } from "../stand-in.ts";

const task = wordProblem({ group: parseGroup("Z2") });
const model = phaseModel(task.vocabulary);

async function run(options: Partial<EvaluateOptions> = {}): Promise<readonly EvaluationRow[]> {
  await using device = await findBackend("reference")();
  const rows = await evaluate({
    task,
    variants: tolerances([0.1, 0.01], () => model),
    params: model.init(key(1)),
    key: key(0),
    device,
    lengths: [2, 4],
    batch: 8,
    batches: 2,
    ...options,
  });
  expect(device.memory().liveBuffers).toBe(0);
  return rows;
}

test("a row per length and tolerance, on the same data, the same each time", async () => {
  const rows = await run();
  expect(rows.map(({ length, variant, sequences }) => [length, variant, sequences])).toEqual([
    [2, "tol 0.1", 16],
    [2, "tol 0.01", 16],
    [4, "tol 0.1", 16],
    [4, "tol 0.01", 16],
  ]);
  // The stand-in has no solver, so both tolerances are the same model.
  expect(rows[0]!.tokenAccuracy).toBe(rows[1]!.tokenAccuracy);
  expect(rows[0]).toMatchObject({ converged: 1, iterations: 0 });
  expect(await run()).toEqual(rows);
});

test("rows that were not completed are left out", async () => {
  const controller = new AbortController();
  const rows = await run({
    signal: controller.signal,
    onBatch: ({ done }) => {
      if (done === 3) controller.abort();
    },
  });
  expect(rows).toHaveLength(1);
});

test("lengths and batches must be positive", async () => {
  await expect(run({ lengths: [0] })).rejects.toThrow("positive integers, got 0");
  await expect(run({ batches: 0 })).rejects.toThrow("positive integers, got 0");
});
