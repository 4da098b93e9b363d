/** float16 and bfloat16, of which float32 has every number: widened bit by bit, so that NaNs keep theirs too. */

/** bfloat16 is the upper half of float32. */
export function widenBfloat16(halves: Uint16Array): Float32Array<ArrayBuffer> {
  return new Float32Array(Uint32Array.from(halves, (half) => half << 16).buffer);
}

/** float16: a sign, 5 bits of exponent, 10 of fraction. */
export function widenFloat16(halves: Uint16Array): Float32Array<ArrayBuffer> {
  const bits = Uint32Array.from(halves, (half) => {
    const sign = (half & 0x8000) << 16;
    const exponent = (half >> 10) & 0x1f;
    const fraction = half & 0x3ff;
    if (exponent === 0) return sign | subnormal(fraction);
    // The largest exponent is that of infinities and NaNs in either format; the others differ in their bias.
    return sign | ((exponent === 0x1f ? 0xff : exponent + 112) << 23) | (fraction << 13);
  });
  return new Float32Array(bits.buffer);
}

/** The bits of fraction 2^-24, which is zero or a normal number of float32. */
function subnormal(fraction: number): number {
  if (fraction === 0) return 0;
  const leading = 31 - Math.clz32(fraction);
  return ((leading + 103) << 23) | ((fraction << (23 - leading)) & 0x7fffff);
}
