/** NaN, infinities, zeros, denormals and the ends of each domain: the values that have to be exactly the reference's. */
import { expect, test } from "vitest";
import { laneMath } from "../../src/math/index.ts";
import type { LaneMath } from "../../src/math/index.ts";
import { apply, applyFloats, between, everyExponent, forms, greatestFloat, join } from "./support.ts";

const tiny = 2 ** -149;
const NaNs = new Float32Array(Uint32Array.of(0x7fc0_0000, 0xffc0_0000, 0x7fc0_0123, 0x7fff_ffff, 0xffff_ffff).buffer);

const logistic = (x: number) => 1 / (1 + Math.exp(-x));
const rsqrt = (x: number) => 1 / Math.sqrt(x);

/** Operands whose results are exact or special, besides NaN, infinities and zeros. */
const cases: readonly (readonly [keyof LaneMath, (x: number) => number, readonly number[]])[] = [
  ["neg", (x) => -x, [1, -1, tiny, greatestFloat]],
  ["abs", Math.abs, [1, -1, -tiny, -greatestFloat]],
  ["sign", Math.sign, [1, -1, 2 ** -126, -(2 ** -126), greatestFloat, -greatestFloat]],
  ["floor", Math.floor, [0.5, -0.5, 1.5, -1.5, 2 ** 23 + 1, -(2 ** 30), greatestFloat, 2 ** -126]],
  ["exp", Math.exp, [89, 88.8, greatestFloat, -greatestFloat, -104, -1000, tiny, -tiny]],
  ["log", Math.log, [1, -1, -(2 ** -126), -greatestFloat]],
  ["log1p", Math.log1p, [-1, -1.5, -greatestFloat]],
  ["expm1", Math.expm1, [89, 88.8, greatestFloat, -greatestFloat, -20, -18, -104]],
  ["sin", Math.sin, []],
  ["cos", Math.cos, [tiny, -tiny, 2 ** -126]],
  ["tanh", Math.tanh, [10, -10, 20, -20, greatestFloat, -greatestFloat]],
  ["logistic", logistic, [20, 50, 89, 200, -104, -200, greatestFloat, -greatestFloat, tiny, -tiny]],
  ["sqrt", Math.sqrt, [1, 4, -1, -greatestFloat, 2 ** -126]],
  ["rsqrt", rsqrt, [1, 4, -1, -greatestFloat, 2 ** -126]],
];

test.each(forms.flatMap((form) => cases.map(([name, truth, more]) => ({ ...form, name, truth, more }))))(
  "$name, relaxed $relaxed",
  ({ relaxed, name, truth, more }) => {
    const inputs = join(NaNs, Float32Array.of(Infinity, -Infinity, 0, -0, ...more));
    const expected = Float32Array.from(inputs, truth);
    expect([...applyFloats(laneMath({ relaxed })[name] as LaneMath["exp"], inputs)]).toEqual([...expected]);
  },
);

test.each(forms)("sin and cos of what is too large to be reduced lie in [-1, 1], relaxed $relaxed", ({ relaxed }) => {
  const inputs = join(everyExponent(2 ** 16).filter(Number.isFinite), Float32Array.of(greatestFloat, -greatestFloat));
  for (const name of ["sin", "cos"] as const) {
    const results = applyFloats(laneMath({ relaxed })[name], inputs);
    expect(results.every((y) => Math.abs(y) <= 1)).toBe(true);
  }
});

test("isFinite gives masks", () => {
  const inputs = join(NaNs, Float32Array.of(Infinity, -Infinity, 0, -0, tiny, greatestFloat, -greatestFloat, 1));
  const expected = Uint32Array.from(inputs, (x) => (Number.isFinite(x) ? 0xffff_ffff : 0));
  expect(apply(laneMath().isFinite, inputs)).toEqual(expected);
});

const values = join(
  NaNs,
  Float32Array.of(Infinity, -Infinity, 0, -0, 1, -1, 3, tiny, greatestFloat),
  between(-2, 2, 9),
);
const count = values.length;

test.each([
  ["max", Math.max],
  ["min", Math.min],
  ["div", (a: number, b: number) => a / b],
] as const)("%s of all pairs of special values", (name, truth) => {
  const a = Float32Array.from({ length: count ** 2 }, (_, i) => values[Math.floor(i / count)]!);
  const b = Float32Array.from({ length: count ** 2 }, (_, i) => values[i % count]!);
  const expected = Float32Array.from(a, (x, i) => truth(x, b[i]!));
  expect([...applyFloats(laneMath()[name], a, b)]).toEqual([...expected]);
});
