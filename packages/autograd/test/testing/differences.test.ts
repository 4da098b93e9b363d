import { describe, expect, it } from "vitest";
import { ridders } from "../../src/testing/audit/differences.ts";
import * as complex from "../../src/testing/audit/complex-scalar.ts";

const STEP = 1e-30;

describe("the checks' own derivatives, on exp(sin x) at 1", () => {
  const expected = Math.exp(Math.sin(1)) * Math.cos(1);

  it("Richardson differences reach 1e-12 and know it", () => {
    const { value, error } = ridders((t) => Float64Array.of(Math.exp(Math.sin(1 + t))));
    expect(Math.abs(value[0]! / expected - 1)).toBeLessThan(1e-12);
    expect(error[0]).toBeLessThan(1e-11);
    expect(Math.abs(value[0]! - expected)).toBeLessThanOrEqual(10 * error[0]! + 1e-15);
  });

  it("the complex step reaches the last bit", () => {
    const [, y] = complex.exp(...complex.sin(1, STEP));
    expect(Math.abs(y / STEP / expected - 1)).toBeLessThan(3e-16);
  });
});

describe("complex functions", () => {
  const derivatives: readonly (readonly [string, complex.ComplexFunction, (x: number) => number])[] = [
    ["exp", complex.exp, Math.exp],
    ["log", complex.log, (x) => 1 / x],
    ["log1p", complex.log1p, (x) => 1 / (1 + x)],
    ["expm1", complex.expm1, Math.exp],
    ["sin", complex.sin, Math.cos],
    ["cos", complex.cos, (x) => -Math.sin(x)],
    ["tanh", complex.tanh, (x) => 1 / Math.cosh(x) ** 2],
    ["logistic", complex.logistic, (x) => 1 / (2 + 2 * Math.cosh(x))],
    ["sqrt", complex.sqrt, (x) => 0.5 / Math.sqrt(x)],
    ["rsqrt", complex.rsqrt, (x) => -0.5 / (x * Math.sqrt(x))],
  ];

  it.each(derivatives)("%s has its derivative in the imaginary part", (_, f, derivative) => {
    for (const x of [1e-3, 0.3, 1, 2.5, 7]) {
      expect(Math.abs(f(x, STEP)[1] / STEP / derivative(x) - 1)).toBeLessThan(1e-14);
    }
  });

  it("refuse kinks, ties and branch points instead of answering", () => {
    for (const run of [
      () => complex.abs(0, STEP),
      () => complex.sign(0, STEP),
      () => complex.floor(2, STEP),
      () => complex.log(0, STEP),
      () => complex.sqrt(0, STEP),
      () => complex.extreme([1, STEP], [1, 0], 1),
      () => complex.pow([0, STEP], [0.5, 0]),
    ]) {
      expect(run).toThrow(complex.ComplexStepRefused);
    }
  });
});
