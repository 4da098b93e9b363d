/** Every scalar instruction, run on edge values and compared with JavaScript. */
import { expect, test } from "vitest";
import { pureSets } from "../../src/wasm/instruction-sets.ts";
import { instructionsOf } from "../../src/wasm/instruction.ts";
import { combinations, operandTypes, runner } from "./execute.ts";
import { scalarModels } from "./model-scalar.ts";
import { f32Edges, f64Edges, i32Edges, i64Edges } from "./values.ts";
import type { Value } from "./values.ts";

const edges: Record<string, readonly Value[]> = { i32: i32Edges, i64: i64Edges, f32: f32Edges, f64: f64Edges };

const isScalar = (namespace: string) => namespace in edges;
const tested = instructionsOf(pureSets).filter(
  ({ namespace, signature }) => isScalar(namespace) && signature.slots.every(({ kind }) => kind === "value"),
);

test.each(tested.map((instruction) => [instruction.op.name, instruction] as const))("%s", (name, instruction) => {
  const model = scalarModels[name]!;
  expect(model).toBeDefined();
  const run = runner(instruction);
  const types = operandTypes(instruction);
  const wrong = combinations(types.map((type) => edges[type]!)).flatMap((values) => {
    const [actual, expected] = [run(values), model(...(values as never[]))];
    return Object.is(actual, expected) ? [] : [{ values, actual, expected }];
  });
  expect(wrong.slice(0, 3)).toEqual([]);
});

test("every model belongs to an instruction", () => {
  expect(Object.keys(scalarModels).filter((name) => !tested.some(({ op }) => op.name === name))).toEqual([]);
});
