import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { TreeError } from "../../src/errors.ts";
import { flatten, formatTreeDef, treeLeaves, treeMap, unflatten } from "../../src/trace/tree.ts";

describe("trees", () => {
  it("are taken apart in one order and put together again", () => {
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { maxDepth: 4 },
        fc.integer(),
        fc.constantFrom(null, undefined),
        fc.array(tie("tree"), { maxLength: 3 }),
        fc.dictionary(fc.string({ maxLength: 3 }), tie("tree"), { maxKeys: 3, noNullPrototype: true }),
      ),
    }));
    fc.assert(
      fc.property(tree, (value) => {
        const { leaves, def } = flatten(value);
        expect(
          unflatten(
            def,
            leaves.map(({ leaf }) => leaf),
          ),
        ).toEqual(value);
      }),
      { seed: 1 },
    );
  });

  it("do not depend on the order of keys", () => {
    const [a, b] = [flatten({ x: 1, y: [2, { z: 3 }] }), flatten({ y: [2, { z: 3 }], x: 1 })];
    expect(formatTreeDef(a.def)).toBe(formatTreeDef(b.def));
    expect(a.leaves).toEqual(b.leaves);
    expect(a.leaves.map(({ path }) => path)).toEqual(["x", "y.0", "y.1.z"]);
  });

  it("keep instances of classes as leaves", () => {
    const leaf = new Float32Array(2);
    expect(treeLeaves({ a: leaf })).toEqual([{ path: "a", leaf }]);
  });

  it("map together, and refuse other structures and cycles by name", () => {
    expect(
      treeMap((x: number, _, [y]: readonly number[]) => x + (y ?? 0), { a: 1, b: [2] }, { a: 10, b: [20] }),
    ).toEqual({
      a: 11,
      b: [22],
    });
    expect(() => treeMap((x: number) => x, { a: 1 }, { b: 1 })).toThrow(TreeError);
    const cycle: Record<string, unknown> = {};
    cycle["self"] = { inner: cycle };
    expect(() => flatten(cycle)).toThrow(/'self.inner' contains itself/);
    expect(() => unflatten(flatten([1, 2]).def, [1])).toThrow(TreeError);
  });

  it("name the first place where they differ", () => {
    const differ = (a: unknown, b: unknown): void => void treeMap((x: unknown) => x, a, b);
    expect(() => differ({ a: 1, b: { c: 2, d: 3 } }, { a: 1, b: { c: 2 } })).toThrow(
      "treeMap: tree 1 differs from tree 0 at 'b.d': it has nothing, tree 0 a leaf",
    );
    expect(() => differ({ a: 1 }, { a: 1, extra: [] })).toThrow(/'extra': it has an array of 0, tree 0 nothing/);
    expect(() => differ([1, [2]], [1, [2, 3]])).toThrow(/'1.1': it has a leaf, tree 0 nothing/);
    expect(() => differ([1, null], [1, undefined])).toThrow(/'1': it has undefined, tree 0 null/);
    expect(() => differ(1, { b: 1, a: 2 })).toThrow(/the root: it has an object of \[a, b\], tree 0 a leaf/);
    expect(() => differ([1, 2], { 0: 1, 1: 2 })).toThrow(TreeError);
  });
});
