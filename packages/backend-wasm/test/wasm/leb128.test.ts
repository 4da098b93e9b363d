/** LEB128 against a decoder written from its definition, and UTF-8 against the platform's. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeSigned32, encodeSigned64, encodeUnsigned, encodeUtf8 } from "../../src/wasm/leb128.ts";

function decode(bytes: readonly number[], signed: boolean): bigint {
  const value = bytes.reduce((sum, byte, i) => sum | (BigInt(byte & 0x7f) << BigInt(7 * i)), 0n);
  expect(bytes.map((byte) => byte >= 0x80)).toEqual(bytes.map((_, i) => i < bytes.length - 1));
  return signed ? BigInt.asIntN(7 * bytes.length, value) : value;
}

/** Fewest bytes that hold the value. */
const shortest = (bits: number) => Math.max(1, Math.ceil(bits / 7));
const bitsOf = (value: bigint) => (value === 0n ? 0 : value.toString(2).length);
const signedBits = (value: bigint) => bitsOf(value < 0n ? -value - 1n : value) + 1;

test("unsigned integers come back, in the fewest bytes", () => {
  fc.assert(
    fc.property(fc.oneof(fc.nat(300), fc.integer({ min: 0, max: 2 ** 32 - 1 })), (value) => {
      const bytes = encodeUnsigned(value);
      expect(decode(bytes, false)).toBe(BigInt(value));
      expect(bytes).toHaveLength(shortest(bitsOf(BigInt(value))));
    }),
  );
  for (const value of [2 ** 32, -1, 0.5, NaN]) expect(() => encodeUnsigned(value)).toThrow("unsigned 32-bit");
});

test("signed integers come back, in the fewest bytes", () => {
  fc.assert(
    fc.property(fc.oneof(fc.integer({ min: -300, max: 300 }), fc.integer()), (value) => {
      const bytes = encodeSigned32(value);
      expect(decode(bytes, true)).toBe(BigInt(value));
      expect(bytes).toHaveLength(shortest(signedBits(BigInt(value))));
      expect(encodeSigned64(BigInt(value))).toEqual(bytes);
      expect(encodeSigned32(value >>> 0)).toEqual(bytes);
    }),
  );
});

test("integers of 64 bits come back, in the fewest bytes", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (value) => {
      const bytes = encodeSigned64(value);
      expect(decode(bytes, true)).toBe(value);
      expect(bytes).toHaveLength(shortest(signedBits(value)));
      expect(encodeSigned64(BigInt.asUintN(64, value))).toEqual(bytes);
    }),
  );
});

test("text is UTF-8, also with a lone surrogate", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.constantFrom("", "\ud800", "é", "漢", "😀"), (text, more) => {
      expect(encodeUtf8(text + more)).toEqual([...new TextEncoder().encode(text + more)]);
    }),
  );
});
