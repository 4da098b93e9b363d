import { describe, expect, it } from "vitest";
import { call } from "./run.ts";

describe("float16", () => {
  it("is rounded when it is stored, results and inputs alike", () => {
    expect(call("add", "float16[2]", ["float16[2]", "float16[2]"], [2048, 1], [1, 2 ** -11])).toEqual([2048, 1]);
    expect(call("neg", "float16[1]", ["float16[1]"], [2049])).toEqual([-2048]);
    expect(call("convert_element_type{dtype=float16}", "float16[1]", ["float32[1]"], [70000])).toEqual([Infinity]);
  });

  it("is rounded at every step of a recurrence", () => {
    const ones = Array<number>(3).fill(1);
    const h = call(
      "linear_recurrence{axis=0, reverse=false}",
      "float16[3]",
      ["float16[3]", "float16[3]"],
      ones,
      [2048, 1, 1],
    );
    expect(h).toEqual([2048, 2048, 2048]);
  });
});
