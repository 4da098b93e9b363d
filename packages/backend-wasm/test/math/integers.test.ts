/** Integer lanes: division on all pairs of edge values, conversions at the ends of the ranges, and Threefry. */
import { expect, test } from "vitest";
// The generator is no public function of its package.
// eslint-disable-next-line import-x/no-relative-packages
import { threefry2x32 } from "../../../autograd/src/random/threefry.ts";
import {
  divideInt,
  divideUint,
  floatToInt,
  floatToUint,
  intToFloat,
  threefry,
  uintToFloat,
} from "../../src/math/index.ts";
import { apply, applyFloats, between, everyExponent, join } from "./support.ts";

const signed = [
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
  -(2 ** 30) + 1,
  2 ** 31 - 1,
  2 - 2 ** 31,
  -(2 ** 31),
];
/** Words of all sizes. */
const words = [...new Uint32Array(everyExponent(200).buffer)];

function pairs<A extends Int32Array | Uint32Array>(type: { from(values: number[]): A }, values: number[]): [A, A] {
  const a = type.from(values.flatMap((x) => values.map(() => x)));
  return [a, type.from(values.flatMap(() => values))];
}

test("signed division truncates; x / 0 is 0, and the least integer over -1 wraps", () => {
  const [a, b] = pairs(Int32Array, [...signed, ...words.map((x) => x | 0)]);
  const expected = Int32Array.from(a, (x, i) => (b[i] === 0 ? 0 : Math.trunc(x / b[i]!)));
  expect(new Int32Array(apply(divideInt, a, b).buffer)).toEqual(expected);
});

test("unsigned division rounds down; x / 0 is 0", () => {
  const [a, b] = pairs(Uint32Array, [...signed.map((x) => x >>> 0), ...words]);
  const expected = Uint32Array.from(a, (x, i) => (b[i] === 0 ? 0 : Math.floor(x / b[i]!)));
  expect(apply(divideUint, a, b)).toEqual(expected);
});

test("quotients next to an integer are not rounded up to it", () => {
  const quotients = Array.from({ length: 1000 }, (_, i) => 1 + i * 4_294_967);
  const b = Uint32Array.from(quotients, (q) => Math.floor((2 ** 32 - 1) / q));
  const a = Uint32Array.from(quotients, (q, i) => q * b[i]! - 1);
  expect(apply(divideUint, a, b)).toEqual(Uint32Array.from(a, (x, i) => Number(BigInt(x) / BigInt(b[i]!))));
});

const floats = join(
  everyExponent(2 ** 12),
  between(-3, 3, 49),
  Float32Array.of(NaN, Infinity, -Infinity, -0, 2 ** 31, -(2 ** 31), 2 ** 32, 2 ** 31 - 128, 2 ** 32 - 256, -0.9),
);

function truncated(x: number, least: number, most: number): number {
  return Number.isNaN(x) ? 0 : Math.trunc(Math.min(Math.max(x, least), most));
}

test("floats to integers truncate and saturate; NaN gives 0", () => {
  const toInt = Int32Array.from(floats, (x) => truncated(x, -(2 ** 31), 2 ** 31 - 1));
  expect(new Int32Array(apply(floatToInt, floats).buffer)).toEqual(toInt);
  expect(apply(floatToUint, floats)).toEqual(Uint32Array.from(floats, (x) => truncated(x, 0, 2 ** 32 - 1)));
});

test("integers to floats round to nearest", () => {
  const unsigned = Uint32Array.from([...words, ...signed.map((x) => x >>> 0), 2 ** 24 + 1, 2 ** 24 + 3]);
  expect(applyFloats(uintToFloat, unsigned)).toEqual(Float32Array.from(unsigned));
  const ints = new Int32Array(unsigned.buffer);
  expect(applyFloats(intToFloat, ints)).toEqual(Float32Array.from(ints));
});

test("threefry is the xor of the words of the block", () => {
  const inputs = [0, 1, 2, 3].map((k) =>
    Uint32Array.from({ length: 4096 }, (_, i) => Math.imul(i + k, 0x9e37_79b1 + 2 * k)),
  );
  for (const input of inputs) input.set([0, 0xffff_ffff, 0x8000_0000, 1]);
  const [key0, key1, high, low] = inputs as [Uint32Array, Uint32Array, Uint32Array, Uint32Array];
  const expected = Uint32Array.from(key0, (k, i) => {
    const [a, b] = threefry2x32(k, key1[i]!, high[i]!, low[i]!);
    return a ^ b;
  });
  expect(apply(threefry, key0, key1, high, low)).toEqual(expected);
});
