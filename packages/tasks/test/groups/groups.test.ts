import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { UnknownNameError } from "../../src/errors.ts";
import { parseGroup, permutationGroup } from "../../src/groups/index.ts";

const orders: readonly (readonly [string, number])[] = [
  ["Z2", 2],
  ["Z7", 7],
  ["Z60", 60],
  ["S3", 6],
  ["S4", 24],
  ["A4", 12],
  ["A5", 60],
  ["S5", 120],
  ["Z2xZ3", 6],
  ["A4xZ5", 60],
  ["Z2xZ2xZ2", 8],
];

describe.each(orders)("%s", (name, order) => {
  const group = parseGroup(name);
  const element = fc.nat(order - 1);

  test("has its name and order", () => {
    expect(group.name).toBe(name);
    expect(group.order).toBe(order);
    expect(group.table).toHaveLength(order * order);
  });

  test("satisfies the axioms, with identity 0", () => {
    fc.assert(
      fc.property(element, element, element, (a, b, c) => {
        expect(group.compose(group.compose(a, b), c)).toBe(group.compose(a, group.compose(b, c)));
        expect(group.compose(a, 0)).toBe(a);
        expect(group.compose(0, a)).toBe(a);
        expect(group.compose(a, group.inverse(a))).toBe(0);
        expect(group.compose(group.inverse(a), a)).toBe(0);
      }),
    );
  });

  test("has each element once in every row of its table", () => {
    for (let a = 0; a < order; a++) {
      expect(new Set(group.table.subarray(a * order, (a + 1) * order)).size).toBe(order);
    }
  });

  test("refuses what is no element", () => {
    expect(() => group.compose(order, 0)).toThrow(RangeError);
    expect(() => group.inverse(order)).toThrow(RangeError);
  });
});

function elementOrder(name: string, element: number): number {
  const group = parseGroup(name);
  let order = 1;
  for (let power = element; power !== 0; power = group.compose(power, element)) order++;
  return order;
}

function countByOrder(name: string): Record<number, number> {
  const counts: Record<number, number> = {};
  for (let a = 0; a < parseGroup(name).order; a++) {
    const order = elementOrder(name, a);
    counts[order] = (counts[order] ?? 0) + 1;
  }
  return counts;
}

test("the groups are the ones named: numbers of elements by order", () => {
  expect(countByOrder("S3")).toEqual({ 1: 1, 2: 3, 3: 2 });
  expect(countByOrder("A4")).toEqual({ 1: 1, 2: 3, 3: 8 });
  expect(countByOrder("A5")).toEqual({ 1: 1, 2: 15, 3: 20, 5: 24 });
  expect(countByOrder("S5")).toEqual({ 1: 1, 2: 25, 3: 20, 4: 30, 5: 24, 6: 20 });
  expect(countByOrder("Z6")).toEqual({ 1: 1, 2: 1, 3: 2, 6: 2 });
  expect(countByOrder("Z2xZ3")).toEqual(countByOrder("Z6"));
});

test("commutative exactly where they should be", () => {
  const commutes = (name: string): boolean => {
    const group = parseGroup(name);
    const elements = Array.from({ length: group.order }, (_, i) => i);
    return elements.every((a) => elements.every((b) => group.compose(a, b) === group.compose(b, a)));
  };
  expect(["Z60", "Z2xZ3", "S3", "A4", "A5", "S5"].map(commutes)).toEqual([true, true, false, false, false, false]);
});

test("Z_n adds modulo n", () => {
  const group = parseGroup("Z12");
  fc.assert(fc.property(fc.nat(11), fc.nat(11), (a, b) => group.compose(a, b) === (a + b) % 12));
});

test.each(["", "Q8", "Z", "Z0", "Z1", "Z01", "Z1001", "S6", "A3", "z2", "Z2x", "xZ2", "Z2xQ8", "Z2 x Z3", "S5xS5"])(
  "the name '%s' is refused with the valid ones",
  (name) => {
    expect(() => parseGroup(name)).toThrow(UnknownNameError);
    expect(() => parseGroup(name)).toThrow(`unknown group '${name}'; valid: Z<n>`);
    expect(() => parseGroup(name)).toThrow("A5");
  },
);

test("permutations that are not closed, or come twice, make no group", () => {
  expect(() =>
    permutationGroup("x", [
      [0, 1, 2],
      [1, 2, 0],
    ]),
  ).toThrow("lead out of it");
  expect(() =>
    permutationGroup("x", [
      [0, 1],
      [0, 1],
    ]),
  ).toThrow("there twice");
});

test("the largest cyclic group is made at once", () => {
  const startedAt = performance.now();
  parseGroup("Z1000");
  expect(performance.now() - startedAt).toBeLessThan(3000);
});
