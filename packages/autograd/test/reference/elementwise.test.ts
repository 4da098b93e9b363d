import { describe, expect, it } from "vitest";
import { call } from "./run.ts";

const unary = (op: string, dtype: string, x: readonly number[]): number[] => {
  const type = `${dtype}[${x.length}]`;
  return call(op, type, [type], x);
};

const binary = (op: string, dtype: string, a: readonly number[], b: readonly number[]): number[] => {
  const type = `${dtype}[${a.length}]`;
  return call(op, type, [type, type], a, b);
};

describe("unary primitives", () => {
  it.each([
    ["neg", [1, -2, 0], [-1, 2, -0]],
    ["abs", [-3, -0, -Infinity], [3, 0, Infinity]],
    ["sign", [-3, -0, 0, 5, NaN], [-1, -0, 0, 1, NaN]],
    ["floor", [-1.5, 1.5, -0], [-2, 1, -0]],
    ["exp", [0, -Infinity, Infinity], [1, 0, Infinity]],
    ["log", [1, 0, -1], [0, -Infinity, NaN]],
    ["log1p", [1e-300, -1], [1e-300, -Infinity]],
    ["expm1", [1e-300, -Infinity], [1e-300, -1]],
    ["sin", [0, Infinity], [0, NaN]],
    ["cos", [0, Infinity], [1, NaN]],
    ["tanh", [0, Infinity, -1000], [0, 1, -1]],
    ["sqrt", [9, -1, 0], [3, NaN, 0]],
    ["rsqrt", [4, 0], [0.5, Infinity]],
  ] as const)("%s", (op, x, expected) => {
    expect(unary(op, "float64", x)).toEqual(expected);
  });

  it("logistic is accurate in both tails", () => {
    const [far, near, middle, above, overflow, nan] = unary("logistic", "float64", [-700, -40, 0, 40, 1000, NaN]);
    expect(far! / Math.exp(-700)).toBeCloseTo(1, 15);
    expect(near! / (Math.exp(-40) / (1 + Math.exp(-40)))).toBeCloseTo(1, 15);
    expect([middle, above, overflow, nan]).toEqual([0.5, 1, 1, NaN]);
    expect(unary("logistic", "float64", [-Infinity, Infinity])).toEqual([0, 1]);
  });

  it("integers wrap", () => {
    expect(unary("neg", "int32", [-(2 ** 31), 5])).toEqual([-(2 ** 31), -5]);
    expect(unary("neg", "uint32", [1, 0])).toEqual([2 ** 32 - 1, 0]);
  });

  it("is_finite is false for NaN and infinities", () => {
    expect(call("is_finite", "bool[4]", ["float32[4]"], [1, NaN, Infinity, -Infinity])).toEqual([1, 0, 0, 0]);
  });

  it("not", () => {
    expect(unary("not", "bool", [0, 1])).toEqual([1, 0]);
  });
});

describe("binary primitives", () => {
  it("float32 is computed in double and rounded at the store", () => {
    expect(binary("add", "float32", [0.1], [0.2])).toEqual([Math.fround(Math.fround(0.1) + Math.fround(0.2))]);
    expect(binary("mul", "float32", [1e30], [1e30])).toEqual([Infinity]);
  });

  it("max and min are NaN if either operand is", () => {
    expect(binary("max", "float32", [NaN, 1, 2], [1, NaN, 3])).toEqual([NaN, NaN, 3]);
    expect(binary("min", "float32", [NaN, 1, 2], [1, NaN, 3])).toEqual([NaN, NaN, 2]);
  });

  it("sub, div and pow", () => {
    expect(binary("sub", "float64", [1], [3])).toEqual([-2]);
    expect(binary("div", "float64", [1, -1, 0], [0, 0, 0])).toEqual([Infinity, -Infinity, NaN]);
    expect(binary("pow", "float64", [2, -8, 0], [10, 1 / 3, 0])).toEqual([1024, NaN, 1]);
  });

  it("integer products are exact modulo 2^32", () => {
    const x = 123456789;
    const y = 987654321;
    const exact = BigInt(x) * BigInt(y);
    expect(binary("mul", "int32", [x], [y])).toEqual([Number(BigInt.asIntN(32, exact))]);
    expect(binary("mul", "uint32", [x], [y])).toEqual([Number(BigInt.asUintN(32, exact))]);
    expect(binary("mul", "uint32", [2 ** 32 - 1], [2 ** 32 - 1])).toEqual([1]);
  });

  it("integer sums wrap", () => {
    expect(binary("add", "int32", [2 ** 31 - 1], [1])).toEqual([-(2 ** 31)]);
    expect(binary("sub", "uint32", [0], [1])).toEqual([2 ** 32 - 1]);
  });

  it("integer division truncates, and by 0 is 0", () => {
    expect(binary("div", "int32", [7, -7, 7, 0, -(2 ** 31)], [2, 2, 0, 0, -1])).toEqual([3, -3, 0, 0, -(2 ** 31)]);
    expect(binary("div", "uint32", [2 ** 32 - 1, 5], [2, 0])).toEqual([2 ** 31 - 1, 0]);
  });

  it("and, or", () => {
    expect(binary("and", "bool", [0, 0, 1, 1], [0, 1, 0, 1])).toEqual([0, 0, 0, 1]);
    expect(binary("or", "bool", [0, 0, 1, 1], [0, 1, 0, 1])).toEqual([0, 1, 1, 1]);
  });

  it.each([
    ["eq", [0, 1, 0, 0]],
    ["ne", [1, 0, 1, 1]],
    ["lt", [1, 0, 0, 0]],
    ["le", [1, 1, 0, 0]],
    ["gt", [0, 0, 1, 0]],
    ["ge", [0, 1, 1, 0]],
  ])("compare %s, with NaN", (direction, expected) => {
    const operands = ["float32[4]", "float32[4]"];
    expect(call(`compare{direction=${direction}}`, "bool[4]", operands, [1, 2, 3, NaN], [2, 2, 2, NaN])).toEqual(
      expected,
    );
  });

  it("select does not let the other branch's NaN through", () => {
    const types = ["bool[2]", "float32[2]", "float32[2]"];
    expect(call("select", "float32[2]", types, [1, 0], [1, NaN], [NaN, 2])).toEqual([1, 2]);
  });

  it("empty operands give empty results", () => {
    expect(binary("add", "float32", [], [])).toEqual([]);
    expect(unary("exp", "float64", [])).toEqual([]);
  });
});

describe("convert_element_type", () => {
  const convert = (from: string, to: string, x: readonly number[]): number[] =>
    call(`convert_element_type{dtype=${to}}`, `${to}[${x.length}]`, [`${from}[${x.length}]`], x);

  it("truncates floats towards zero and saturates", () => {
    const x = [1.9, -1.9, 1e20, -1e20, NaN, Infinity];
    expect(convert("float64", "int32", x)).toEqual([1, -1, 2 ** 31 - 1, -(2 ** 31), 0, 2 ** 31 - 1]);
    expect(convert("float64", "uint32", x)).toEqual([1, 0, 2 ** 32 - 1, 0, 0, 2 ** 32 - 1]);
  });

  it("is x != 0 for bool", () => {
    expect(convert("float32", "bool", [0, -0, 0.5, NaN])).toEqual([0, 0, 1, 1]);
    expect(convert("int32", "bool", [0, -3])).toEqual([0, 1]);
  });

  it("rounds to narrower floats and keeps the bits of integers", () => {
    expect(convert("float64", "float32", [0.1])).toEqual([Math.fround(0.1)]);
    expect(convert("int32", "uint32", [-1])).toEqual([2 ** 32 - 1]);
    expect(convert("uint32", "int32", [2 ** 32 - 1])).toEqual([-1]);
    expect(convert("bool", "float32", [1, 0])).toEqual([1, 0]);
    expect(convert("float32", "float32", [2])).toEqual([2]);
  });
});
