import { describe, expect, it } from "vitest";
import { threefry2x32, threefryBits } from "../../src/random/threefry.ts";

describe("threefry2x32", () => {
  // kat_vectors of Random123: threefry2x32, 20 rounds.
  it.each([
    [
      [0, 0],
      [0, 0],
      [0x6b200159, 0x99ba4efe],
    ],
    [
      [0xffffffff, 0xffffffff],
      [0xffffffff, 0xffffffff],
      [0x1cb996fc, 0xbb002be7],
    ],
    [
      [0x13198a2e, 0x03707344],
      [0x243f6a88, 0x85a308d3],
      [0xc4923a9c, 0x483df7a0],
    ],
  ] as const)("matches the published vector of key %j and counter %j", ([key0, key1], [x0, x1], words) => {
    expect(threefry2x32(key0, key1, x0, x1)).toEqual(words);
  });
});

describe("threefryBits", () => {
  it("is the xor of both words at consecutive counters", () => {
    const bits = threefryBits(7, 9, 5);
    for (let i = 0; i < 5; i++) {
      const [a, b] = threefry2x32(7, 9, 0, i);
      expect(bits[i]).toBe((a ^ b) >>> 0);
    }
  });

  it("may be empty", () => {
    expect(threefryBits(1, 2, 0)).toHaveLength(0);
  });

  it("continues a shorter draw of the same key", () => {
    expect(threefryBits(3, 4, 100).slice(0, 10)).toEqual(threefryBits(3, 4, 10));
  });
});
