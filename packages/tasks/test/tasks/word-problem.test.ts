import { ArgumentError, key, random } from "@banach/autograd";
import fc from "fast-check";
import { expect, test } from "vitest";
import { UnknownNameError } from "../../src/errors.ts";
import { parseGroup } from "../../src/groups/index.ts";
import { findTask, wordProblem } from "../../src/tasks/index.ts";

const rows = (tensor: { toNested(): unknown }): number[][] => tensor.toNested() as number[][];

test("targets are the running left products from the identity, after BOS", () => {
  fc.assert(
    fc.property(
      fc.constantFrom("Z2", "S3", "A4", "A5"),
      fc.integer({ min: 1, max: 6 }),
      fc.integer({ min: 1, max: 9 }),
      fc.nat(),
      (name, batch, length, seed) => {
        const group = parseGroup(name);
        const { inputs, targets } = wordProblem({ group }).sample(key(seed), { batch, length });
        expect(inputs.shape).toEqual([batch, length + 1]);
        rows(inputs).forEach(([first, ...elements], row) => {
          expect(first).toBe(group.order);
          let product = 0;
          const expected = elements.map((element) => (product = group.compose(product, element)));
          expect(rows(targets)[row]).toEqual([group.order, ...expected]);
        });
      },
    ),
  );
});

test("elements of parity, from a known key", () => {
  const { inputs, targets } = wordProblem({ group: parseGroup("Z2") }).sample(key(1), { batch: 2, length: 6 });
  expect({ inputs: inputs.toNested(), targets: targets.toNested() }).toMatchInlineSnapshot(`
    {
      "inputs": [
        [
          2,
          0,
          1,
          0,
          0,
          1,
          1,
        ],
        [
          2,
          1,
          1,
          0,
          1,
          0,
          0,
        ],
      ],
      "targets": [
        [
          2,
          0,
          1,
          1,
          1,
          0,
          1,
        ],
        [
          2,
          1,
          0,
          0,
          1,
          1,
          1,
        ],
      ],
    }
  `);
});

test("all elements come about equally often", () => {
  const group = parseGroup("S3");
  const { inputs } = wordProblem({ group }).sample(key(5), { batch: 100, length: 60 });
  const counts = new Array<number>(group.order).fill(0);
  for (const token of inputs.data) if (token < group.order) counts[token]! += 1;
  for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(120);
});

test("score group leaves out BOS, score all counts it", () => {
  const group = parseGroup("Z3");
  const mask = (score?: "all" | "group"): unknown =>
    wordProblem(score === undefined ? { group } : { group, score })
      .sample(key(0), { batch: 1, length: 2 })
      .mask.toNested();
  expect(mask()).toEqual([[0, 1, 1]]);
  expect(mask("group")).toEqual([[0, 1, 1]]);
  expect(mask("all")).toEqual([[1, 1, 1]]);
});

test.each([
  ["A5", 72],
  ["S5", 128],
  ["Z2", 16],
  ["Z9", 16],
])("the vocabulary of %s is padded to %i", (name, vocabulary) => {
  expect(wordProblem({ group: parseGroup(name) }).vocabulary).toBe(vocabulary);
});

test("the batch is a function of key and size", () => {
  const task = wordProblem({ group: parseGroup("A5") });
  const draw = (seed: number): number[] =>
    Array.from(task.sample(random.foldIn(key(7), seed), { batch: 4, length: 8 }).inputs.data);
  expect(draw(1)).toEqual(draw(1));
  expect(draw(1)).not.toEqual(draw(2));
});

test("empty batches and lengths are refused", () => {
  const task = wordProblem({ group: parseGroup("Z2") });
  expect(() => task.sample(key(0), { batch: 0, length: 3 })).toThrow("batch must be a positive integer, got 0");
  expect(() => task.sample(key(0), { batch: 1, length: 0 })).toThrow(ArgumentError);
});

test("tasks by name, with options as texts", () => {
  expect(findTask("word-problem").create({ group: "S3" }).name).toBe("word-problem S3");
  expect(findTask("word-problem").create({}).name).toBe("word-problem Z2");
  expect(() => findTask("sorting")).toThrow("unknown task 'sorting'; valid: word-problem");
  expect(() => findTask("word-problem").create({ size: "3" })).toThrow(UnknownNameError);
  expect(() => findTask("word-problem").create({ score: "some" })).toThrow("unknown score 'some'; valid: group, all");
  expect(() => findTask("word-problem").create({ group: "Q8" })).toThrow("unknown group 'Q8'");
});
