import { describe, expect, it } from "vitest";
import { gelu, silu, softplus } from "../../src/nn/activation.ts";
import { array } from "../../src/runtime/host-tensor.ts";
import { evaluate, f64 } from "./evaluate.ts";

const xs = [-30, -3, -1e-9, 0, 1e-9, 0.5, 2, 30];

describe("activations", () => {
  it("silu is x / (1 + exp(-x))", () => {
    const { data } = evaluate((x) => silu(x), f64([xs.length], xs));
    xs.forEach((x, i) => expect(data[i]).toBeCloseTo(x / (1 + Math.exp(-x)), 14));
  });

  it("softplus is log(1 + exp(x))", () => {
    const { data } = evaluate((x) => softplus(x), f64([xs.length], xs));
    xs.forEach((x, i) => expect(data[i]).toBeCloseTo(Math.log(1 + Math.exp(x)), 13));
  });

  it("softplus keeps both tails", () => {
    const { data } = evaluate((x) => softplus(x), array([-100, -700, 100, 1e30, Infinity, -Infinity]));
    expect(data[0]).toBeCloseTo(Math.fround(Math.exp(-100)), 45);
    expect(Array.from(data.slice(1))).toEqual([0, 100, Math.fround(1e30), Infinity, 0]);
    const wide = evaluate((x) => softplus(x), f64([2], [-700, -40]));
    expect(wide.data[0]! / Math.exp(-700)).toBeCloseTo(1, 12);
    expect(wide.data[1]! / Math.exp(-40)).toBeCloseTo(1, 12);
  });

  it("gelu is near x times the normal distribution function", () => {
    const { data } = evaluate((x) => gelu(x), f64([xs.length], xs));
    xs.forEach((x, i) => {
      const inner = Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3);
      expect(data[i]).toBeCloseTo(0.5 * x * (1 + Math.tanh(inner)), 13);
    });
    expect(evaluate((x) => gelu(x), f64([], [1])).item()).toBeCloseTo(0.8413447, 3);
  });
});
