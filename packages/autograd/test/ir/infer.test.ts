import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BanachError, DTypeError, GraphError, ShapeError } from "../../src/errors.ts";
import { infer } from "../../src/ir/infer.ts";
import { type DType, formatType, type TensorType } from "../../src/ir/tensor-type.ts";
import { allSamples } from "../../src/testing/samples.ts";

const f = (...shape: number[]): TensorType => ({ dtype: "float32", shape });

describe("inference", () => {
  it("names the operation and both types", () => {
    expect(() => infer("add", [f(2, 3), f(4)], {})).toThrow(/^add: shapes differ, float32\[2,3\] and float32\[4\]$/);
    expect(() => infer("mul", [f(2), { dtype: "int32", shape: [2] }], {})).toThrow(/float32\[2\] and int32\[2\]/);
    expect(() => infer("dot_general", [f(4, 8), f(9, 2)], { contracting: [[1], [0]], batch: [[], []] })).toThrow(
      "dot_general: contracting sizes differ, float32[4,8] axis 1 (8) and float32[9,2] axis 0 (9)",
    );
  });

  it.each([
    [
      () => infer("exp", [{ dtype: "int32", shape: [2] }], {}),
      DTypeError,
      /exp: needs a float operand, got int32\[2\]/,
    ],
    [() => infer("reduce_max", [f(3, 0)], { axes: [1] }), ShapeError, /nothing to choose from/],
    [() => infer("reduce_sum", [f(3, 2)], { axes: [1, 0] }), ShapeError, /strictly increasing/],
    [() => infer("reduce_sum", [f(3)], { axes: [1] }), ShapeError, /axis 1 is out of range for float32\[3\]/],
    [() => infer("reshape", [f(3)], { shape: [2] }), ShapeError, /has 3 elements, \[2\] needs 2/],
    [() => infer("reshape", [f(3)], { shape: [-3] }), ShapeError, /non-negative/],
    [() => infer("slice", [f(3)], { start: [2], limit: [4], strides: [1] }), ShapeError, /2\.\.4 is out of range/],
    [() => infer("slice", [f(3)], { start: [0], limit: [3], strides: [0] }), ShapeError, /at least 1/],
    [() => infer("concatenate", [f(3), f(3, 1)], { axis: 0 }), ShapeError, /differ outside axis 0/],
    [() => infer("broadcast_in_dim", [f(3)], { shape: [2, 4], dims: [1] }), ShapeError, /cannot become/],
    [() => infer("gather", [f(3), f(2)], { axis: 0 }), DTypeError, /indices must be int32/],
    [() => infer("random_bits", [f(2)], { shape: [] }), DTypeError, /the key must be uint32/],
    [() => infer("reshape", [f(1)], { shape: [2 ** 40, 2 ** 40] }), ShapeError, /safe integer/],
  ])("refuses case %#", (run, kind, message) => {
    expect(run).toThrow(kind);
    expect(run).toThrow(message);
  });

  it("refuses or types operands of any shape and dtype, and names the operation when it refuses", () => {
    const dtypes: readonly DType[] = ["float32", "float64", "int32", "uint32", "bool"];
    const type = fc.record({
      dtype: fc.constantFrom(...dtypes),
      shape: fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 }),
    });
    fc.assert(
      fc.property(
        fc.constantFrom(...allSamples()),
        fc.array(type, { maxLength: 4 }),
        ({ primitive, sample }, types) => {
          try {
            const results = infer(primitive, types, sample.params as never);
            for (const result of results) expect(formatType(result)).toMatch(/^\w+\[[\d,]*\]$/);
          } catch (error) {
            expect(error).toBeInstanceOf(BanachError);
            if (!(error instanceof GraphError))
              expect((error as Error).message).toMatch(new RegExp(`^${primitive}\\b|\\[`));
          }
        },
      ),
      { numRuns: 2000, seed: 1 },
    );
  });
});
