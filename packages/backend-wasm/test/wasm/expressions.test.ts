/** Random expression trees, evaluated in WebAssembly and in JavaScript. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Expr, Local, ValueType } from "../../src/wasm/index.ts";
import { ModuleBuilder, f32, f64, i32 } from "../../src/wasm/index.ts";
import { instantiateOnly, WebAssembly } from "./support.ts";

type Tree = number | { readonly op: string; readonly args: readonly Tree[] };

const i32Ops: Record<string, (a: number, b: number) => number> = {
  add: (a, b) => (a + b) | 0,
  sub: (a, b) => (a - b) | 0,
  mul: Math.imul,
  and: (a, b) => a & b,
  or: (a, b) => a | b,
  xor: (a, b) => a ^ b,
  shl: (a, b) => a << b,
  shr_s: (a, b) => a >> b,
  shr_u: (a, b) => (a >>> b) | 0,
  lt_s: (a, b) => (a < b ? 1 : 0),
  gt_u: (a, b) => (a >>> 0 > b >>> 0 ? 1 : 0),
  clz: (a) => Math.clz32(a),
  eqz: (a) => (a === 0 ? 1 : 0),
};
const floatOps: Record<string, (a: number, b: number) => number> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  min: Math.min,
  max: Math.max,
  sqrt: (a) => Math.sqrt(a),
  abs: (a) => Math.abs(a),
  neg: (a) => -a,
  floor: Math.floor,
  trunc: Math.trunc,
};

type Kind = "i32" | "f32" | "f64";
const kinds = {
  i32: { make: i32, ops: i32Ops, round: (x: number) => x | 0 },
  f32: { make: f32, ops: floatOps, round: Math.fround },
  f64: { make: f64, ops: floatOps, round: (x: number) => x },
} as const;

const parameters = 3;

/** A leaf below 3 is a parameter, any other a constant. */
const trees = (kind: Kind, constants: fc.Arbitrary<number>): fc.Arbitrary<Tree> => {
  const { ops } = kinds[kind];
  const leaf = fc.oneof(
    fc.nat(parameters - 1),
    constants.filter((x) => !(x >= 0 && x < parameters)),
  );
  return fc.letrec<{ tree: Tree }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 6, depthSize: "large" },
      leaf,
      fc.constantFrom(...Object.keys(ops)).chain((op) => {
        const count = ops[op]!.length;
        return fc.tuple(...Array.from({ length: count }, () => tie("tree"))).map((args) => ({ op, args }));
      }),
    ),
  })).tree;
};

const isParameter = (leaf: number) => Number.isInteger(leaf) && leaf >= 0 && leaf < parameters && !Object.is(leaf, -0);

function evaluate(kind: Kind, tree: Tree, values: readonly number[]): number {
  const { ops, round } = kinds[kind];
  if (typeof tree === "number") return round(isParameter(tree) ? values[tree]! : tree);
  const [a = 0, b = 0] = tree.args.map((arg) => evaluate(kind, arg, values));
  return round(ops[tree.op]!(a, b));
}

function write(kind: Kind, tree: Tree, params: readonly Local[]): Expr | number {
  if (typeof tree === "number") return isParameter(tree) ? params[tree]! : tree;
  const make = kinds[kind].make as unknown as Record<string, (...args: (Expr | number)[]) => Expr>;
  return make[tree.op]!(...tree.args.map((arg) => write(kind, arg, params)));
}

function agree(kind: Kind, tree: Tree, values: readonly number[]): void {
  const m = new ModuleBuilder();
  const types = Array.from({ length: parameters }, (): ValueType => kind);
  const f = m.func("f", types, [kind as ValueType], (_, ...params) => write(kind, tree, params) as never);
  m.export("f", f);
  const exports = instantiateOnly(new WebAssembly.Module(m.build()));
  expect(exports["f"]!(...values)).toBe(evaluate(kind, tree, values));
}

const numbers: Record<Kind, fc.Arbitrary<number>> = { i32: fc.integer(), f32: fc.float(), f64: fc.double() };

test.each(["i32", "f32", "f64"] as const)("%s", (kind) => {
  const values = fc.tuple(numbers[kind], numbers[kind], numbers[kind]);
  fc.assert(
    fc.property(trees(kind, numbers[kind]), values, (tree, given) => agree(kind, tree, given)),
    { numRuns: 300 },
  );
});
