import { describe, expect, it } from "vitest";
import { ArgumentError } from "../../src/errors.ts";
import { constant, cosine, linearDecay, type Schedule, warmup } from "../../src/optim/schedule.ts";
import { array } from "../../src/runtime/host-tensor.ts";
import { evaluate } from "../nn/evaluate.ts";

function rates(schedule: Schedule, steps: readonly number[], dtype: "float32" | "float64" = "float64"): number[] {
  return steps.map((step) => {
    const rate = evaluate((s) => schedule(s, dtype), array(step, { dtype: "int32" }));
    expect(rate.type).toEqual({ dtype, shape: [] });
    return rate.item();
  });
}

function expectClose(actual: readonly number[], expected: readonly number[]): void {
  actual.forEach((rate, i) => expect(rate).toBeCloseTo(expected[i]!, 14));
}

describe("schedules", () => {
  it("constant", () => {
    expect(rates(constant(0.1), [0, 5])).toEqual([0.1, 0.1]);
    expect(rates(constant(0.1), [3], "float32")).toEqual([Math.fround(0.1)]);
  });

  it("cosine falls from peak to end and stays", () => {
    expectClose(rates(cosine({ peak: 0.2, steps: 10 }), [0, 5, 10, 20]), [0.2, 0.1, 0, 0]);
    expectClose(rates(cosine({ peak: 0.2, steps: 3, end: 0.1 }), [0, 1, 3]), [0.2, 0.175, 0.1]);
  });

  it("linearDecay falls in a straight line", () => {
    expectClose(rates(linearDecay({ peak: 0.2, steps: 4, end: 0.1 }), [0, 1, 4, 9]), [0.2, 0.175, 0.1, 0.1]);
  });

  it("warmup rises, then hands over with steps counted from there", () => {
    const schedule = warmup(4, linearDecay({ peak: 1, steps: 10 }));
    expectClose(rates(schedule, [0, 1, 3, 4, 5, 14, 20]), [0, 0.25, 0.75, 1, 0.9, 0, 0]);
    expectClose(rates(warmup(2, 0.5), [0, 1, 2, 9]), [0, 0.25, 0.5, 0.5]);
    expectClose(rates(warmup(0, 0.5), [0, 1]), [0.5, 0.5]);
  });

  it("refuse values outside their domains", () => {
    expect(() => constant(Number.NaN)).toThrow(ArgumentError);
    expect(() => cosine({ peak: 1, steps: 0 })).toThrow(ArgumentError);
    expect(() => linearDecay({ peak: 1, steps: 1.5 })).toThrow(ArgumentError);
    expect(() => linearDecay({ peak: -1, steps: 1 })).toThrow(ArgumentError);
    expect(() => warmup(-1, 0.1)).toThrow(ArgumentError);
  });
});
