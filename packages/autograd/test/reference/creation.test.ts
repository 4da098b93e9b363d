import { describe, expect, it } from "vitest";
import { threefryBits } from "../../src/random/threefry.ts";
import { call } from "./run.ts";

describe("iota", () => {
  it("counts along its axis", () => {
    expect(call("iota{axis=0, type=int32[3]}", "int32[3]", [])).toEqual([0, 1, 2]);
    expect(call("iota{axis=0, type=float32[2,2]}", "float32[2,2]", [])).toEqual([0, 0, 1, 1]);
    expect(call("iota{axis=1, type=uint32[2,2]}", "uint32[2,2]", [])).toEqual([0, 1, 0, 1]);
  });

  it("may be empty", () => {
    expect(call("iota{axis=0, type=int32[0]}", "int32[0]", [])).toEqual([]);
    expect(call("iota{axis=0, type=int32[2,0]}", "int32[2,0]", [])).toEqual([]);
  });
});

describe("random_bits", () => {
  it("is Threefry at the element's position", () => {
    const bits = call("random_bits{shape=[2,3]}", "uint32[2,3]", ["uint32[2]"], [5, 6]);
    expect(bits).toEqual(Array.from(threefryBits(5, 6, 6)));
  });
});
