import { describe, expect, it } from "vitest";
import { parseGraph } from "../../src/ir/parse.ts";
import { compileGraph } from "../../src/reference/interpret.ts";
import { run } from "./run.ts";

/** carry' = scale * carry + x; y = carry' + x. */
const scan = (
  length: number,
  reverse: boolean,
): string => `graph(%0: float32[], %1: float32[1], %2: float32[${length},1]) {
  %3: float32[1], %4: float32[${length},1] = scan{carry=1, consts=1, length=${length}, reverse=${reverse}, body=graph(%0: float32[], %1: float32[1], %2: float32[1]) {
    %3: float32[1] = broadcast_in_dim{dims=[], shape=[1]}(%0)
    %4: float32[1] = mul(%3, %1)
    %5: float32[1] = add(%4, %2)
    %6: float32[1] = add(%5, %2)
    return (%5, %6)
  }}(%0, %1, %2)
  return (%3, %4)
}`;

describe("scan", () => {
  it("threads the carry and stacks the results", () => {
    expect(run(scan(3, false), [2], [1], [1, 2, 3])).toEqual([[19], [4, 10, 22]]);
    expect(run(scan(2, false), [2], [1], [1, 2])).toEqual([[8], [4, 10]]);
  });

  it("visits from the end when reversed, and results keep their places", () => {
    expect(run(scan(3, true), [2], [1], [1, 2, 3])).toEqual([[25], [26, 14, 8]]);
  });

  it("takes lengths 0 and 1", () => {
    expect(run(scan(0, false), [2], [7], [])).toEqual([[7], []]);
    expect(run(scan(1, false), [2], [7], [1])).toEqual([[15], [16]]);
  });

  it("swaps carries, returns constants and the same value twice", () => {
    const text = `graph(%0: int32[], %1: int32[]) {
      %2: int32[], %3: int32[], %4: int32[3], %5: int32[3], %6: int32[3] = scan{carry=2, consts=0, length=3, reverse=false, body=graph(%0: int32[], %1: int32[]) {
        return (%1, %0, %0, %0, int32(5))
      }}(%0, %1)
      return (%2, %3, %4, %5, %6)
    }`;
    expect(run(text, [1], [2])).toEqual([[2], [1], [1, 2, 1], [1, 2, 1], [5, 5, 5]]);
  });

  it("nests", () => {
    const text = `graph(%0: float64[], %1: float64[2,3]) {
      %2: float64[], %3: float64[2] = scan{carry=1, consts=0, length=2, reverse=false, body=graph(%0: float64[], %1: float64[3]) {
        %2: float64[] = scan{carry=1, consts=0, length=3, reverse=false, body=graph(%0: float64[], %1: float64[]) {
          %2: float64[] = mul(%0, float64(10)) %3: float64[] = add(%2, %1) return (%3)
        }}(%0, %1)
        return (%2, %0)
      }}(%0, %1)
      return (%2, %3)
    }`;
    expect(run(text, [0], [1, 2, 3, 4, 5, 6])).toEqual([[123456], [0, 123]]);
  });
});

/** Doubles each row until it reaches the limit. */
const double = (rows: string, maxSteps: number): string => `graph(%0: float32${rows}, %1: float32${rows}) {
  %2: float32${rows}, %3: int32${rows} = while{bodyConsts=0, condConsts=1, maxSteps=${maxSteps}, cond=graph(%0: float32${rows}, %1: float32${rows}) {
    %2: bool${rows} = compare{direction=lt}(%1, %0) return (%2)
  }, body=graph(%0: float32${rows}) {
    %1: float32${rows} = add(%0, %0) return (%1)
  }}(%0, %1)
  return (%2, %3)
}`;

describe("while", () => {
  it("ends when the predicate is false", () => {
    expect(run(double("[]", 100), [10], [1])).toEqual([[16], [4]]);
    expect(run(double("[]", 100), [5], [1])).toEqual([[8], [3]]);
    expect(run(double("[]", 100), [1], [1])).toEqual([[1], [0]]);
  });

  it("ends after maxSteps at the latest, and makes none when it is 0", () => {
    expect(run(double("[]", 2), [10], [1])).toEqual([[4], [2]]);
    expect(run(double("[]", 0), [10], [1])).toEqual([[1], [0]]);
    expect(run(double("[2]", 0), [10, 10], [1, 2])).toEqual([
      [1, 2],
      [0, 0],
    ]);
  });

  it("freezes finished rows and counts the steps of each", () => {
    expect(run(double("[4]", 100), [2, 10, 5, 0], [1, 1, 1, 1])).toEqual([
      [2, 16, 8, 1],
      [1, 4, 3, 0],
    ]);
  });

  it("takes no rows", () => {
    expect(run(double("[0]", 100), [], [])).toEqual([[], []]);
  });

  it("never starts a finished row again", () => {
    // The second carry counts iterations; the predicate of row 0 is false at the first test only.
    const text = `graph(%0: int32[2], %1: int32[2], %2: int32[2]) {
      %3: int32[2], %4: int32[2], %5: int32[2] = while{bodyConsts=0, condConsts=1, maxSteps=5, cond=graph(%0: int32[2], %1: int32[2], %2: int32[2]) {
        %3: int32[2] = mul(%0, %2) %4: bool[2] = compare{direction=lt}(%1, %3) return (%4)
      }, body=graph(%0: int32[2], %1: int32[2]) {
        %2: int32[2] = add(%1, %1) return (%0, %2)
      }}(%0, %1, %2)
      return (%3, %4, %5)
    }`;
    expect(run(text, [1, 1], [1, 0], [1, 1])).toEqual([
      [1, 0],
      [1, 32],
      [0, 5],
    ]);
  });

  it("keeps a frozen row though the body makes it NaN", () => {
    const text = `graph(%0: float32[2,2]) {
      %1: float32[2,2], %2: int32[2] = while{bodyConsts=0, condConsts=0, maxSteps=3, cond=graph(%0: float32[2,2]) {
        %1: float32[2] = reduce_sum{axes=[1]}(%0)
        %2: float32[2] = broadcast_in_dim{dims=[], shape=[2]}(float32(0))
        %3: bool[2] = compare{direction=ge}(%1, %2)
        return (%3)
      }, body=graph(%0: float32[2,2]) {
        %1: float32[2,2] = sqrt(%0) return (%1)
      }}(%0)
      return (%1, %2)
    }`;
    expect(run(text, [-1, -2, 256, 256])).toEqual([
      [-1, -2, 2, 2],
      [0, 3],
    ]);
  });

  it("reports the steps of loops outside loops, the largest over rows, in program order", () => {
    const graph = parseGraph(`graph(%0: int32[2]) {
      %1: int32[2], %2: int32[2] = while{bodyConsts=0, condConsts=0, maxSteps=9, cond=graph(%0: int32[2]) {
        %1: int32[2] = iota{axis=0, type=int32[2]}() %2: bool[2] = compare{direction=lt}(%0, %1) return (%2)
      }, body=graph(%0: int32[2]) {
        %1: int32[2] = sub(%0, %0) %2: int32[2] = iota{axis=0, type=int32[2]}() %3: int32[2] = add(%1, %2) return (%3)
      }}(%0)
      %3: int32[2], %4: int32[] = while{bodyConsts=0, condConsts=0, maxSteps=7, cond=graph(%0: int32[2]) {
        return (bool(1))
      }, body=graph(%0: int32[2]) { return (%0) }}(%1)
      return (%3)
    }`);
    expect(compileGraph(graph).run([Int32Array.of(0, 0)])).toEqual({
      outputs: [Int32Array.of(0, 1)],
      loopSteps: [1, 7],
    });
  });
});

describe("custom_vjp_call", () => {
  it("runs its primal, also the same one twice", () => {
    const square = `custom_vjp_call{residuals=0, primal=graph(%0: float32[]) { %1: float32[] = mul(%0, %0) return (%1) },
      forward=graph(%0: float32[]) { return (float32(-1)) }, backward=graph(%0: float32[]) { return (%0) }}`;
    const text = `graph(%0: float32[]) { %1: float32[] = ${square}(%0) %2: float32[] = ${square}(%1) return (%2, %1) }`;
    expect(run(text, [3])).toEqual([[81], [9]]);
  });
});
