/** LEB128, the variable-length integers of the binary format, and text as UTF-8. */
import { WasmBuildError } from "./error.ts";

/** The encodings of a single byte, which most are: made once. */
const singleBytes: readonly (readonly number[])[] = Array.from({ length: 0x80 }, (_, byte) => [byte]);

/**
 * An unsigned 32-bit integer in as few bytes as it takes.
 * @throws WasmBuildError unless 0 <= value < 2^32 is an integer
 */
export function encodeUnsigned(value: number): readonly number[] {
  const single = singleBytes[value];
  if (single !== undefined) return single;
  if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff) {
    throw new WasmBuildError(`${value} is not an unsigned 32-bit integer`);
  }
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  bytes.push(rest);
  return bytes;
}

/** The signed integer that has the low 32 bits of `value`, in as few bytes as it takes. */
export function encodeSigned32(value: number): readonly number[] {
  let rest = value | 0;
  const single = rest >= -0x40 && rest <= 0x3f ? singleBytes[rest & 0x7f] : undefined;
  if (single !== undefined) return single;
  const bytes: number[] = [];
  while (rest < -0x40 || rest > 0x3f) {
    bytes.push((rest & 0x7f) | 0x80);
    rest >>= 7;
  }
  bytes.push(rest & 0x7f);
  return bytes;
}

/** The signed integer that has the low 64 bits of `value`, in as few bytes as it takes. */
export function encodeSigned64(value: bigint): number[] {
  const bytes: number[] = [];
  let rest = BigInt.asIntN(64, value);
  while (rest < -0x40n || rest > 0x3fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest & 0x7fn));
  return bytes;
}

/** UTF-8 bytes of a text; a lone surrogate becomes U+FFFD. */
export function encodeUtf8(text: string): number[] {
  const bytes: number[] = [];
  for (const character of text) {
    const raw = character.codePointAt(0) ?? 0;
    const code = raw >= 0xd800 && raw <= 0xdfff ? 0xfffd : raw;
    if (code < 0x80) bytes.push(code);
    else if (code < 0x800) bytes.push(0xc0 | (code >> 6), 0x80 | (code & 0x3f));
    else if (code < 0x1_0000) bytes.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f));
    else {
      const tail = [12, 6, 0].map((shift) => 0x80 | ((code >> shift) & 0x3f));
      bytes.push(0xf0 | (code >> 18), ...tail);
    }
  }
  return bytes;
}
