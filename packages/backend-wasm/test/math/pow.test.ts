/** pow against float64: a grid of special operands, and sweeps whose results are spread over all exponents. */
import { afterAll, expect, test } from "vitest";
import { laneMath } from "../../src/math/index.ts";
import { applyFloats, everyExponent, forms, greatestFloat, summary, ulpError } from "./support.ts";

const sizes = [0, 2 ** -149, 2 ** -126, 0.3, 0.5, 1 - 2 ** -24, 1, 1 + 2 ** -23, 1.5, 2, 3, 7, 2 ** 24, greatestFloat];
const values = [
  ...sizes,
  ...sizes.map((x) => -x),
  Infinity,
  -Infinity,
  NaN,
  2 ** 24 + 2,
  -2.5,
  1e5 + 0.5,
  -33,
  127,
  128,
];

/** Results beyond all budgets; equal special values count as no error. */
function failures(a: Float32Array, b: Float32Array, relaxed: boolean, budget: number): string[] {
  const results = applyFloats(laneMath({ relaxed }).pow, a, b);
  return [...results].flatMap((got, i) => {
    const truth = a[i]! ** b[i]!;
    const exact = Number.isFinite(Math.fround(truth)) && truth !== 0;
    const right = exact ? ulpError(got, truth) <= budget : Object.is(got, Math.fround(truth));
    return right ? [] : [`${a[i]!} ** ${b[i]!} = ${got}, not ${truth}`];
  });
}

test.each(forms)("special operands as ** has them, relaxed $relaxed", ({ relaxed }) => {
  const a = Float32Array.from({ length: values.length ** 2 }, (_, i) => values[Math.floor(i / values.length)]!);
  const b = Float32Array.from({ length: values.length ** 2 }, (_, i) => values[i % values.length]!);
  expect(failures(a, b, relaxed, 1)).toEqual([]);
});

const lines: string[] = [];

test.each(forms)("errors over sweeps, relaxed $relaxed", ({ relaxed }) => {
  const bases = everyExponent(2 ** 19).filter((x) => x > 0 && Number.isFinite(x));
  // The exponents that spread the results over more than the range of float32.
  const exponents = bases.map((x, i) => ((((i * 0.618034) % 1) * 2 - 1) * 152) / Math.log2(x));
  const near = Float32Array.from({ length: 2 ** 17 }, (_, i) => 0.5 + i / 2 ** 16);
  const nearExponents = near.map((x, i) => ((((i * 0.618034) % 1) * 2 - 1) * 152) / Math.log2(x));
  const small = near.map((_, i) => ((i * 0.618034) % 1) * 8 - 4);
  const errors: number[] = [];
  for (const [a, b] of [
    [bases, exponents],
    [near, nearExponents],
    [near, small],
  ] as const) {
    const results = applyFloats(laneMath({ relaxed }).pow, a, b);
    results.forEach((got, i) => errors.push(ulpError(got, overflowing(a[i]! ** b[i]!))));
  }
  const { max, most } = summary(Float64Array.from(errors));
  const form = relaxed ? "relaxed" : "base";
  lines.push(`pow      ${form.padEnd(9)}max ${max.toFixed(2)} ulp, p99.9 ${most.toFixed(2)} ulp, n ${errors.length}`);
  expect(errors.length).toBeGreaterThan(200_000);
  // The budget is 16.
  expect(max).toBeLessThan(0.6);
});

/** What rounds to Infinity in float32 is Infinity. */
const overflowing = (x: number) => (Number.isFinite(Math.fround(x)) ? x : Math.fround(x));

afterAll(() => console.log(lines.join("\n")));
