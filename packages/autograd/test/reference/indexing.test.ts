import { describe, expect, it } from "vitest";
import { call } from "./run.ts";

describe("gather", () => {
  it("replaces the axis by the shape of the indices", () => {
    const x = [1, 2, 3, 4, 5, 6];
    expect(call("gather{axis=0}", "float32[3,2]", ["float32[3,2]", "int32[3]"], x, [2, 0, 2])).toEqual([
      5, 6, 1, 2, 5, 6,
    ]);
    expect(call("gather{axis=1}", "float32[2]", ["float32[2,3]", "int32[]"], x, [1])).toEqual([2, 5]);
    expect(call("gather{axis=0}", "int32[2,2]", ["int32[6]", "int32[2,2]"], x, [5, 4, 3, 2])).toEqual([6, 5, 4, 3]);
  });

  it("reads NaN out of range, 0 for non-floats", () => {
    expect(call("gather{axis=0}", "float32[3]", ["float32[2]", "int32[3]"], [1, 2], [-1, 1, 2])).toEqual([NaN, 2, NaN]);
    expect(call("gather{axis=0}", "int32[3]", ["int32[2]", "int32[3]"], [1, 2], [-1, 1, 2])).toEqual([0, 2, 0]);
    expect(call("gather{axis=0}", "float32[1]", ["float32[0]", "int32[1]"], [], [0])).toEqual([NaN]);
  });

  it("takes no indices", () => {
    expect(call("gather{axis=0}", "float32[0]", ["float32[2]", "int32[0]"], [1, 2], [])).toEqual([]);
  });
});

describe("scatter_add", () => {
  it("adds repeated indices and drops those out of range", () => {
    const types = ["float32[3]", "int32[4]", "float32[4]"];
    expect(call("scatter_add{axis=0}", "float32[3]", types, [1, 1, 1], [0, 0, 3, -1], [10, 20, 30, 40])).toEqual([
      31, 1, 1,
    ]);
  });

  it("adds rows along an inner axis", () => {
    const types = ["int32[2,2,1]", "int32[1]", "int32[2,1,1]"];
    expect(call("scatter_add{axis=1}", "int32[2,2,1]", types, [1, 2, 3, 4], [1], [10, 20])).toEqual([1, 12, 3, 24]);
  });
});
