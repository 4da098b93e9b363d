/** Errors of the float operations against float64, over sweeps of all exponents and of the ranges that matter, and at special values. */
import { wgslBudgets } from "@banach/autograd/testing";
import { beforeAll, expect, test } from "vitest";
import type { Evaluator } from "./support.ts";
import {
  around,
  between,
  everyExponent,
  flush,
  greatestFloat,
  join,
  openEvaluator,
  pairs,
  ulpError,
  writeOperation,
} from "./support.ts";

type Unary =
  | ("neg" | "abs" | "sign" | "floor" | "exp" | "log" | "log1p" | "expm1" | "sin" | "cos" | "tanh" | "logistic")
  | ("sqrt" | "rsqrt");
type Binary = "add" | "sub" | "mul" | "div" | "max" | "min" | "pow";

let gpu: Evaluator;
const lines: string[] = [];
beforeAll(async () => {
  gpu = await openEvaluator();
  return () => {
    gpu.close();
    console.log(lines.join("\n"));
  };
});

interface Case {
  readonly name: Unary;
  readonly truth: (x: number) => number;
  /** Absolute error allowed for |x| <= 1024, instead of the budget. */
  readonly absolute?: number;
  readonly more: readonly Float32Array[];
}

const dense = (low: number, high: number) => between(low, high, 2 ** 15);

const multiples = Array.from({ length: 652 }, (_, n) => around((n * Math.PI) / 2, 3));
const trigonometric = { absolute: 2 ** -21, more: [dense(-4, 4), dense(-1024, 1024), ...multiples] };

const cases: readonly Case[] = [
  { name: "neg", truth: (x) => -x, more: [] },
  { name: "abs", truth: Math.abs, more: [] },
  { name: "sign", truth: Math.sign, more: [] },
  { name: "floor", truth: Math.floor, more: [dense(-10, 10), around(2 ** 23), around(1), around(-1)] },
  {
    name: "exp",
    truth: Math.exp,
    more: [dense(-104, 90), dense(-1, 1), around(-87.33654475), around(-103.2789), around(88.72283)],
  },
  {
    name: "log",
    truth: Math.log,
    more: [dense(0.5, 2), dense(0, 100), around(1), around(Math.SQRT1_2), around(Math.SQRT2), around(2 ** -126)],
  },
  {
    name: "log1p",
    truth: Math.log1p,
    more: [dense(-1, 2), dense(0, 100), around(-1), around(Math.SQRT2 - 1), around(Math.SQRT1_2 - 1), around(2 ** 24)],
  },
  {
    name: "expm1",
    truth: Math.expm1,
    more: [dense(-18, 90), dense(-1, 1), around(88.72283), around(-17.3), around(0.3466), around(-0.3466)],
  },
  { name: "tanh", truth: Math.tanh, more: [dense(-10, 10), dense(-1, 1), around(9.01)] },
  {
    name: "logistic",
    truth: (x) => 1 / (1 + Math.exp(-x)),
    more: [dense(-104, 20), dense(-2, 2), around(-87.33654475), around(-88.72283)],
  },
  { name: "sqrt", truth: Math.sqrt, more: [dense(0, 4)] },
  { name: "rsqrt", truth: (x) => 1 / Math.sqrt(x), more: [dense(0, 4)] },
  { name: "sin", truth: Math.sin, ...trigonometric },
  { name: "cos", truth: Math.cos, ...trigonometric },
];

const tiny = 2 ** -149;
const NaNs = new Float32Array(Uint32Array.of(0x7fc0_0000, 0xffc0_0000, 0x7fc0_0123, 0x7fff_ffff, 0xffff_ffff).buffer);
const special = join(
  NaNs,
  Float32Array.of(Infinity, -Infinity, 0, -0, 1, -1, 0.5, -0.5, 1.5, -1.5, 2, -2, 10, -10, 20, -20, 50, 89, 88.8, -104),
  Float32Array.of(
    -1000,
    200,
    2 ** -126,
    -(2 ** -126),
    tiny,
    -tiny,
    greatestFloat,
    -greatestFloat,
    2 ** 23 + 1,
    2 ** 30,
  ),
);

/** What the budget of an operation allows at a point, in absolute terms; 0 where the result has to be rounded correctly. */
function toleranceOf(name: Unary | Binary, truth: number, operands: readonly number[]): number {
  const budget = wgslBudgets[name];
  return budget.kind === "elementwise" ? budget.tolerance(truth, operands) : 0;
}

const format = (x: number): string => (Object.is(x, -0) ? "-0" : String(x));

type Truth = (...operands: readonly number[]) => number;

/** Compares results with those of the operands, and of the operands with denormals taken as 0. */
class Errors {
  readonly beyond: string[] = [];
  private share = 0;
  private worst = "rounded correctly";

  readonly name: Unary | Binary;
  readonly truth: Truth;
  readonly absolute: number | undefined;

  constructor(name: Unary | Binary, truth: Truth, absolute?: number) {
    this.name = name;
    this.truth = truth;
    this.absolute = absolute;
  }

  add(got: number, operands: readonly number[]): void {
    const exact = this.truth(...operands);
    const flushed = this.truth(...operands.map(flush));
    const [error, chosen] = [exact, flushed]
      .map((y) => [ulpError(got, y), y] as const)
      .reduce((a, b) => (b[0] < a[0] ? b : a));
    if (error === 0) return;
    const rounded = wgslBudgets[this.name].kind === "rounded";
    if (rounded && got === Math.fround(chosen)) return;
    const distance = error * 2 ** -23 * 2 ** Math.floor(Math.log2(Math.max(Math.abs(chosen), 2 ** -126)));
    const isReduced = this.absolute !== undefined && Math.abs(operands[0]!) <= 1024;
    const share = distance / (isReduced ? this.absolute : toleranceOf(this.name, chosen, operands));
    if (!(share <= 1)) {
      const call = `${this.name}(${operands.map(format).join(", ")})`;
      this.beyond.push(`${call} = ${format(got)}, not ${format(exact)}: ${error.toFixed(2)} ulp`);
    } else if (share > this.share && (this.absolute === undefined || isReduced)) {
      const size = this.absolute === undefined ? `${error.toFixed(2)} ulp` : `2^${Math.log2(distance).toFixed(1)}`;
      this.worst = `max ${size}, ${(100 * share).toFixed(0)} % of the budget, at ${operands.map(format).join(", ")}`;
      this.share = share;
    }
  }

  /** Fails where a result was beyond the budget. */
  report(count: number): void {
    lines.push(`${this.name.padEnd(9)}${this.worst}, n ${count}`);
    expect(this.beyond.slice(0, 8)).toEqual([]);
  }
}

const sweep = everyExponent(2 ** 16);

test.each(cases)("$name", async ({ name, truth, absolute, more }) => {
  const inputs = join(special, sweep, ...more);
  const write = writeOperation({ operation: name, types: ["float32", "float32"] });
  const results = new Float32Array((await gpu.evaluate(write, ["float32", "float32"], [inputs])).buffer);
  const errors = new Errors(name, truth, absolute);
  inputs.forEach((x, i) => errors.add(results[i]!, [x]));
  errors.report(inputs.length);
});

test.each(["tanh", "sin", "cos"] as const)("%s lies in [-1, 1], however large its operand", async (name) => {
  const inputs = join(sweep.filter(Number.isFinite), dense(-100, 100), Float32Array.of(greatestFloat, -greatestFloat));
  const write = writeOperation({ operation: name, types: ["float32", "float32"] });
  const results = new Float32Array((await gpu.evaluate(write, ["float32", "float32"], [inputs])).buffer);
  expect(results.every((y) => Math.abs(y) <= 1)).toBe(true);
});

const binary: readonly (readonly [Binary, (a: number, b: number) => number])[] = [
  ["add", (a, b) => a + b],
  ["sub", (a, b) => a - b],
  ["mul", (a, b) => a * b],
  ["div", (a, b) => a / b],
  ["max", Math.max],
  ["min", Math.min],
];

const [specialLeft, specialRight] = pairs(Float32Array, special);

test.each(binary)("%s", async (name, truth) => {
  const a = join(specialLeft, sweep, between(-8, 8, 2 ** 14));
  const b = join(specialRight, everyExponent(2 ** 16).reverse(), between(3, 4, 2 ** 14));
  const types = ["float32", "float32", "float32"] as const;
  const results = new Float32Array(
    (await gpu.evaluate(writeOperation({ operation: name, types }), types, [a, b])).buffer,
  );
  const errors = new Errors(name, truth);
  a.forEach((x, i) => errors.add(results[i]!, [x, b[i]!]));
  errors.report(a.length);
});

test("pow", async () => {
  const sizes = [0, tiny, 2 ** -126, 0.3, 0.5, 1 - 2 ** -24, 1, 1 + 2 ** -23, 1.5, 2, 3, 7, 2 ** 24, greatestFloat];
  const more = [Infinity, -Infinity, NaN, 2 ** 24 + 2, -2.5, 1e5 + 0.5, -33, 127, 128];
  const [left, right] = pairs(Float32Array, [...sizes, ...sizes.map((x) => -x), ...more]);
  const bases = everyExponent(2 ** 17).filter((x) => x > 0 && Number.isFinite(x));
  // The exponents that spread the results over more than the range of float32.
  const spread = (x: number, i: number) => ((((i * 0.618034) % 1) * 2 - 1) * 152) / Math.log2(x);
  const near = Float32Array.from({ length: 2 ** 16 }, (_, i) => 0.5 + i / 2 ** 15);
  const nearOne = Float32Array.from({ length: 2 ** 15 }, (_, i) => 1 + (i + 1) * 2 ** -23);
  const a = join(left, bases, near, nearOne, near);
  const b = join(
    right,
    bases.map(spread),
    near.map(spread),
    nearOne.map(spread),
    near.map((_, i) => ((i * 0.618034) % 1) * 8 - 4),
  );
  const types = ["float32", "float32", "float32"] as const;
  const write = writeOperation({ operation: "pow", types });
  const results = new Float32Array((await gpu.evaluate(write, types, [a, b])).buffer);
  const errors = new Errors("pow", (x = 0, y = 0) => x ** y);
  a.forEach((x, i) => errors.add(results[i]!, [x, b[i]!]));
  errors.report(a.length);
});
