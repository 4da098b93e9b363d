/** Results that have to be exact: integers, bools, conversions, comparisons, select, literals and Threefry. */
import type { Apply, CompareDirection, DType, Expression } from "@banach/autograd/backend";
// Neither the generator nor the rounding is a public function of its package.
// eslint-disable-next-line import-x/no-relative-packages
import { roundToHalf } from "../../../autograd/src/ir/half.ts";
// eslint-disable-next-line import-x/no-relative-packages
import { threefry2x32 } from "../../../autograd/src/random/threefry.ts";
import { beforeAll, expect, test } from "vitest";
import { literal, operationText } from "../../src/wgsl/operations.ts";
import type { Evaluator, Operation, Words, Write } from "./support.ts";
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

let gpu: Evaluator;
beforeAll(async () => {
  gpu = await openEvaluator();
  return () => {
    gpu.close();
  };
});

/** The words of an operation's results. */
const run = (operation: Operation, ...operands: readonly Words[]) =>
  gpu.evaluate(writeOperation(operation), operation.types, operands);

const ints = [
  0,
  1,
  -1,
  2,
  -2,
  3,
  7,
  -7,
  1000,
  -1001,
  46_341,
  2 ** 30,
  1 - 2 ** 30,
  2 ** 31 - 1,
  2 - 2 ** 31,
  -(2 ** 31),
];
/** Words of all sizes. */
const words = [...new Uint32Array(everyExponent(160).buffer)];
const signed = pairs(Int32Array, [...ints, ...words.map((x) => x | 0)]);
const unsigned = pairs(Uint32Array, [...ints.map((x) => x >>> 0), ...words]);
const bools = [Uint32Array.of(0, 0, 1, 1), Uint32Array.of(0, 1, 0, 1)] as const;

const integerBinary: readonly (readonly [Operation["operation"], (a: number, b: number) => number])[] = [
  ["add", (a, b) => a + b],
  ["sub", (a, b) => a - b],
  ["mul", Math.imul],
  ["div", (a, b) => (b === 0 ? 0 : Math.trunc(a / b))],
  ["max", Math.max],
  ["min", Math.min],
];

test.each(integerBinary)("%s of integers wraps as the reference does", async (operation, truth) => {
  const [a, b] = signed;
  const onInts = await run({ operation, types: ["int32", "int32", "int32"] }, a, b);
  expect(new Int32Array(onInts.buffer)).toEqual(Int32Array.from(a, (x, i) => truth(x, b[i]!)));
  const [c, d] = unsigned;
  const onUints = await run({ operation, types: ["uint32", "uint32", "uint32"] }, c, d);
  expect(onUints).toEqual(Uint32Array.from(c, (x, i) => truth(x, d[i]!)));
});

test("quotients next to an integer are not rounded up to it", async () => {
  const quotients = Array.from({ length: 1000 }, (_, i) => 1 + i * 4_294_967);
  const b = Uint32Array.from(quotients, (q) => Math.floor((2 ** 32 - 1) / q));
  const a = Uint32Array.from(quotients, (q, i) => q * b[i]! - 1);
  const results = await run({ operation: "div", types: ["uint32", "uint32", "uint32"] }, a, b);
  expect(results).toEqual(Uint32Array.from(a, (x, i) => Number(BigInt(x) / BigInt(b[i]!))));
});

test.each([
  ["neg", (x: number) => -x],
  ["abs", Math.abs],
  ["sign", Math.sign],
] as const)("%s of integers wraps as the reference does", async (operation, truth) => {
  const [a] = signed;
  const onInts = await run({ operation, types: ["int32", "int32"] }, a);
  expect(new Int32Array(onInts.buffer)).toEqual(Int32Array.from(a, truth));
  const [b] = unsigned;
  expect(await run({ operation, types: ["uint32", "uint32"] }, b)).toEqual(Uint32Array.from(b, truth));
});

const bit = { int32: signed, uint32: unsigned, bool: bools } as const;

test.each(["int32", "uint32", "bool"] as const)("and, or of %s", async (dtype) => {
  const [a, b] = bit[dtype];
  const types = [dtype, dtype, dtype];
  expect(await run({ operation: "and", types }, a, b)).toEqual(Uint32Array.from(a, (x, i) => x & b[i]!));
  expect(await run({ operation: "or", types }, a, b)).toEqual(Uint32Array.from(a, (x, i) => x | b[i]!));
});

test("not", async () => {
  expect(await run({ operation: "not", types: ["bool", "bool"] }, Uint32Array.of(0, 1))).toEqual(Uint32Array.of(1, 0));
});

const NaNs = new Float32Array(Uint32Array.of(0x7fc0_0000, 0xffc0_0000, 0x7fc0_0123, 0x7fff_ffff, 0xffff_ffff).buffer);
const extremes = Float32Array.of(Infinity, -Infinity, 0, -0, 1, -1, 3, greatestFloat, -greatestFloat, 2 ** -126);
const floats = pairs(Float32Array, join(NaNs, extremes, between(-2, 2, 9)));

const comparisons: Readonly<Record<CompareDirection, (a: number, b: number) => boolean>> = {
  eq: (a, b) => a === b,
  ne: (a, b) => a !== b,
  lt: (a, b) => a < b,
  le: (a, b) => a <= b,
  gt: (a, b) => a > b,
  ge: (a, b) => a >= b,
};
const directions = Object.keys(comparisons) as CompareDirection[];

test.each(directions)("compare %s of each dtype, NaN included", async (direction) => {
  const truth = comparisons[direction];
  for (const [dtype, [a, b]] of Object.entries({ ...bit, float32: floats })) {
    const types = [dtype as DType, dtype as DType, "bool"] as const;
    const results = await run({ operation: "compare", direction, types }, a, b);
    expect([dtype, ...results]).toEqual([dtype, ...Array.from(a, (x, i) => Number(truth(x, b[i]!)))]);
  }
});

test.each(directions)("compare %s of a value with itself tells NaN", async (direction) => {
  const write = writeOperation({ operation: "compare", direction, types: ["float32", "float32", "bool"] });
  const inputs = join(NaNs, extremes);
  const results = await gpu.evaluate(([x = ""], use) => write([x, x], use), ["float32", "bool"], [inputs]);
  expect([...results]).toEqual(Array.from(inputs, (x) => Number(comparisons[direction](x, x))));
});

test("is_finite", async () => {
  const inputs = join(NaNs, extremes, everyExponent(2 ** 14));
  const results = await run({ operation: "is_finite", types: ["float32", "bool"] }, inputs);
  expect(results).toEqual(Uint32Array.from(inputs, (x) => Number(Number.isFinite(x))));
});

test.each(["float32", "int32", "uint32", "bool"] as const)("select of %s keeps every bit", async (dtype) => {
  const source = dtype === "bool" ? bools : [Uint32Array.from(words), Uint32Array.from(words).reverse()];
  const [a, b] = source as readonly [Uint32Array<ArrayBuffer>, Uint32Array<ArrayBuffer>];
  const predicate = Uint32Array.from(a, (_, i) => (i >> 1) & 1);
  const results = await run({ operation: "select", types: ["bool", dtype, dtype, dtype] }, predicate, a, b);
  const isSame = (x: number, y: number): boolean => {
    if (x === y || dtype !== "float32") return x === y;
    // Denormals may be 0, and a NaN another one.
    const [left = 0, right = 0] = new Float32Array(Uint32Array.of(x, y).buffer);
    return Object.is(flush(left), flush(right));
  };
  expect([...results].every((x, i) => isSame(x, predicate[i] === 0 ? b[i]! : a[i]!))).toBe(true);
});

const convert = (from: DType, to: DType, x: Words) => run({ operation: "convert_element_type", types: [from, to] }, x);

const real = join(
  NaNs,
  extremes,
  everyExponent(2 ** 14),
  between(-3, 3, 49),
  Float32Array.of(2 ** 31, -(2 ** 31), 2 ** 32, 2 ** 31 - 128, 2 ** 32 - 256, -0.9),
  ...[2 ** 31, -(2 ** 31), 2 ** 32, 65_504, 65_520, 2 ** -14, 2 ** -24, 2 ** -25, 1, 1 + 2 ** -11].map((x) =>
    around(x),
  ),
);
const truncated = (x: number, least: number, most: number) =>
  Number.isNaN(x) ? 0 : Math.trunc(Math.min(Math.max(x, least), most));

test("floats to integers truncate and saturate; NaN gives 0", async () => {
  const toInt = Int32Array.from(real, (x) => truncated(x, -(2 ** 31), 2 ** 31 - 1));
  expect(new Int32Array((await convert("float32", "int32", real)).buffer)).toEqual(toInt);
  const toUint = Uint32Array.from(real, (x) => truncated(x, 0, 2 ** 32 - 1));
  expect(await convert("float32", "uint32", real)).toEqual(toUint);
});

test("integers to floats round to nearest", async () => {
  const more = Array.from({ length: 2 ** 14 }, (_, i) => Math.imul(i, 262_147) >>> 0);
  const all = Uint32Array.from([...words, ...ints.map((x) => x >>> 0), 2 ** 24 + 1, 2 ** 24 + 3, 2 ** 32 - 1, ...more]);
  expect(new Float32Array((await convert("uint32", "float32", all)).buffer)).toEqual(Float32Array.from(all));
  const other = new Int32Array(all.buffer);
  expect(new Float32Array((await convert("int32", "float32", other)).buffer)).toEqual(Float32Array.from(other));
});

test("integers to each other keep their bits", async () => {
  const [a] = unsigned;
  expect(await convert("uint32", "int32", a)).toEqual(a);
  expect(await convert("int32", "uint32", new Int32Array(a.buffer))).toEqual(a);
});

test("conversions to bool: what is not 0, NaN too", async () => {
  const results = await convert("float32", "bool", real);
  const isRight = (y: number, x: number) => y === Number(x !== 0) || y === Number(flush(x) !== 0);
  expect([...results].every((y, i) => isRight(y, real[i]!))).toBe(true);
  expect(await convert("int32", "bool", Int32Array.from(ints))).toEqual(Uint32Array.from(ints, (x) => Number(x !== 0)));
  const [a] = unsigned;
  expect(await convert("uint32", "bool", a)).toEqual(a.map((x) => Number(x !== 0)));
});

test("conversions from bool", async () => {
  const [a] = bools;
  for (const dtype of ["int32", "uint32", "bool"] as const) expect(await convert("bool", dtype, a)).toEqual(a);
  for (const dtype of ["float32", "float16"] as const) {
    expect(new Float32Array((await convert("bool", dtype, a)).buffer)).toEqual(Float32Array.from(a));
  }
});

test("conversions to float16 round to nearest, ties to even, denormals included", async () => {
  const results = new Float32Array((await convert("float32", "float16", real)).buffer);
  const expected = Float32Array.from(real, (x) => roundToHalf(x));
  expect([...results].map((x) => x + 0)).toEqual([...expected].map((x) => x + 0));
  const fromInts = new Float32Array((await convert("int32", "float16", Int32Array.from(ints))).buffer);
  expect(fromInts).toEqual(Float32Array.from(ints, (x) => roundToHalf(Math.fround(x))));
});

test("threefry is the xor of the words of the block", async () => {
  const inputs = [0, 1, 2, 3].map((k) =>
    Uint32Array.from({ length: 4096 }, (_, i) => Math.imul(i + k, 0x9e37_79b1 + 2 * k)),
  );
  for (const input of inputs) input.set([0, 0xffff_ffff, 0x8000_0000, 1]);
  const [key0, key1, high, low] = inputs as [Uint32Array, Uint32Array, Uint32Array, Uint32Array];
  const expected = Uint32Array.from(key0, (k, i) => {
    const [a, b] = threefry2x32(k, key1[i]!, high[i]!, low[i]!);
    return a ^ b;
  });
  const types = ["uint32", "uint32", "uint32", "uint32", "uint32"] as const;
  const results = await gpu.evaluate((args, use) => `${use("threefry2x32_bits")}(${args.join(", ")})`, types, inputs);
  expect(results).toEqual(expected);
});

/** The words of literals. */
async function literalWords(dtype: DType, values: readonly number[]): Promise<Uint32Array<ArrayBuffer>> {
  const zero = literal(dtype, 0);
  const words = (value: string) => (dtype === "bool" ? `u32(${value})` : `bitcast<u32>(${value})`);
  // Expressions must not nest too deeply.
  if (values.length > 200) {
    const [head, tail] = [
      await literalWords(dtype, values.slice(0, 200)),
      await literalWords(dtype, values.slice(200)),
    ];
    return Uint32Array.from([...head, ...tail]);
  }
  const bits = values.map((x, i) => words(`select(${zero}, ${literal(dtype, x)}, x0 == ${i}u)`));
  const positions = Uint32Array.from(values, (_, i) => i);
  return gpu.evaluate(() => bits.join(" | "), ["uint32", "uint32"], [positions]);
}

test("literals have every bit of float32, but for denormals", async () => {
  const normal = everyExponent(600).filter((x) => Number.isFinite(x) && Object.is(flush(x), x));
  const values = [...normal, 0, -0, 1, 1e-7, 0.1, greatestFloat, -greatestFloat, 2 ** -126, Infinity, -Infinity, 1e300];
  const expected = new Uint32Array(Float32Array.from(values).buffer);
  expect(await literalWords("float32", values)).toEqual(expected);
  const [nan] = new Float32Array((await literalWords("float32", [NaN])).buffer);
  expect(nan).toBeNaN();
  const [denormal = 0] = new Float32Array((await literalWords("float32", [2 ** -140])).buffer);
  expect([0, 2 ** -140]).toContain(denormal);
});

test("literals of float16 are rounded", async () => {
  const halves = [
    0.1,
    -1 / 3,
    65_519,
    65_520,
    -1e9,
    2 ** -24,
    2 ** -25,
    1 + 2 ** -11,
    1 + 3 * 2 ** -11,
    -0,
    Infinity,
    2 ** -14,
  ];
  const results = new Float32Array((await literalWords("float16", halves)).buffer);
  expect([...results]).toEqual(halves.map((x) => roundToHalf(Math.fround(x))));
});

test("literals of integers wrap, and those of bools are 0 or not", async () => {
  const values = [...ints, 2 ** 31, 2 ** 32 - 1, 2 ** 32 + 5];
  expect(await literalWords("int32", values)).toEqual(new Uint32Array(Int32Array.from(values).buffer));
  expect(await literalWords("uint32", values)).toEqual(Uint32Array.from(values));
  expect(await literalWords("bool", [0, 1])).toEqual(Uint32Array.of(0, 1));
});

const onLiterals: readonly (readonly [Operation["operation"], DType, readonly number[], number])[] = [
  ["add", "int32", [2 ** 31 - 1, 1], -(2 ** 31)],
  ["mul", "uint32", [2 ** 31, 2], 0],
  ["neg", "int32", [-(2 ** 31)], -(2 ** 31)],
  ["div", "int32", [5, 0], 0],
  ["mul", "float32", [greatestFloat, -2], -Infinity],
  ["div", "float32", [1, 0], Infinity],
  ["div", "float32", [0, 0], NaN],
  ["sub", "float32", [Infinity, Infinity], NaN],
  ["exp", "float32", [1000], Infinity],
  ["log", "float32", [-1], NaN],
  ["sqrt", "float32", [-1], NaN],
  ["rsqrt", "float32", [0], Infinity],
  ["pow", "float32", [10, 100], Infinity],
  ["neg", "float32", [-3], 3],
];

test.each(onLiterals)("%s of %s literals %j is no error of the shader", async (operation, dtype, values, expected) => {
  const write = writeOperation({ operation, types: [...values.map(() => dtype), dtype] });
  const args = values.map((x) => literal(dtype, x));
  const results = await gpu.evaluate((_, use) => write(args, use), ["uint32", dtype], [Uint32Array.of(0)]);
  const view = dtype === "float32" ? new Float32Array(results.buffer) : new Int32Array(results.buffer);
  expect(view[0]).toBe(expected);
});

test("division by a literal zero is no error of the shader", async () => {
  const floats = writeOperation({ operation: "div", types: ["float32", "float32", "float32"] });
  const ofFloats = await gpu.evaluate(
    ([x = ""], use) => floats([x, literal("float32", 0)], use),
    ["float32", "float32"],
    [Float32Array.of(1, -1, 0)],
  );
  expect([...new Float32Array(ofFloats.buffer)]).toEqual([Infinity, -Infinity, NaN]);
  const integers = writeOperation({ operation: "div", types: ["int32", "int32", "int32"] });
  const ofIntegers = await gpu.evaluate(
    ([x = ""], use) => integers([x, literal("int32", 0)], use),
    ["int32", "int32"],
    [Int32Array.of(1, -5)],
  );
  expect([...ofIntegers]).toEqual([0, 0]);
});

test.each([-1, 1, 2, 3])("pow to the constant %i is what pow is", async (exponent) => {
  const [x, y]: readonly Expression[] = [
    { kind: "accumulated", dtype: "float32" },
    { kind: "constant", dtype: "float32", value: exponent },
  ];
  const node: Apply = { kind: "apply", operation: "pow", dtype: "float32", args: [x!, y!] };
  const inputs = join(NaNs, extremes, between(-2, 2, 9), everyExponent(2 ** 12));
  const write: Write = ([a = ""], use) => operationText(node, [a, literal("float32", exponent)], use);
  const results = new Float32Array((await gpu.evaluate(write, ["float32", "float32"], [inputs])).buffer);
  const isRight = (got: number, a: number) =>
    ulpError(got, a ** exponent) <= 2.5 || ulpError(got, flush(a) ** exponent) <= 2.5;
  expect(Array.from(inputs).filter((a, i) => !isRight(results[i]!, a))).toEqual([]);
});
