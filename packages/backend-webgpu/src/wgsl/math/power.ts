/**
 * pow. y log2(x) needs about 8 bits more than float32 has, so that the logarithm, and its product with y, are sums of
 * two floats, as in FreeBSD's msun (e_powf.c). log(m) is 2 s + s z (2/3 + ...) for s = (m - 1) / (m + 1) and z = s^2,
 * and s itself has two parts. High parts are cut off by their bits and products taken by `fma`, which
 * no compiler simplifies as it may a sum; those of high parts are exact, so that an `fma` that rounds twice will do.
 */
import { float, polynomial, type WgslLibrary } from "./library.ts";
import { logTerms } from "./logarithm.ts";

/** 1 / ln(2) in two parts, the first of 12 bits. */
const perLn2High = 1.44189453125;
const perLn2Low = Math.LOG2E - perLn2High;

export const power: WgslLibrary = {
  // The upper 11 bits of the significand.
  fp_high: {
    source: "fn fp_high(x: f32) -> f32 { return bitcast<f32>(bitcast<u32>(x) & 0xffffe000u); }\n",
    uses: [],
  },
  // |x| ^ y for an x that is finite, not 0 and no denormal.
  fp_pow_positive: {
    source: `fn fp_pow_positive(x: f32, y: f32) -> f32 {
  let bits = bitcast<i32>(x);
  let shift = (bits - 0x3f3504f3) & i32(0xff800000u);
  let k = f32(shift >> 23u);
  let m = bitcast<f32>(bits - shift);
  let mHigh = fp_high(m);
  let f = m - 1.0;
  let inverse = 1.0 / (m + 1.0);
  let s = f * inverse;
  let sHigh = fp_high(s);
  let sLow = fma(-sHigh, m - mHigh, fma(-sHigh, mHigh + 1.0, f)) * inverse;
  let z = s * s;
  let rest = 2.0 * sLow + s * z * ${polynomial(logTerms, "z")};
  let log2Low = 2.0 * sHigh * ${float(perLn2Low)} + rest * ${float(Math.LOG2E)};
  let double = 2.0 * sHigh;
  let logHigh = fp_high(k + (double * ${float(perLn2High)} + log2Low));
  let logLow = fma(double, ${float(perLn2High)}, k - logHigh) + log2Low;
  let yHigh = fp_high(y);
  let about = y * logHigh;
  let low = (y - yHigh) * logHigh + y * logLow;
  let n = round(clamp(about, -200.0, 200.0));
  let r = select(0.0, fma(yHigh, logHigh, -n) + low, abs(about) < 200.0);
  let e = i32(n);
  let half = e >> 1u;
  return (exp2(r) * bitcast<f32>((half + 127) << 23u)) * bitcast<f32>((e - half + 127) << 23u);
}
`,
    uses: ["fp_high"],
  },
  // As ECMAScript has it: unlike in IEEE 754, (+-1) ** (+-Infinity) and 1 ** NaN are NaN.
  fp_pow: {
    source: `fn fp_pow(x: f32, y: f32) -> f32 {
  let size = bitcast<u32>(x) & 0x7fffffffu;
  let ySize = bitcast<u32>(y) & 0x7fffffffu;
  let tiny = size < 0x00800000u;
  let infinite = size == 0x7f800000u;
  let base = select(bitcast<f32>(size), 1.0, tiny || infinite);
  let extreme = select(0.0, ${float(Infinity)}, tiny != (y > 0.0));
  let unsigned = select(fp_pow_positive(base, y), extreme, tiny || infinite);
  let whole = floor(y) == y;
  let odd = whole && (floor(0.5 * y) != 0.5 * y);
  let negative = (bitcast<u32>(x) & 0x80000000u) != 0u;
  let signed = select(unsigned, -unsigned, negative && odd);
  let noRoot = negative && !whole && !infinite && size != 0u;
  let undefined = noRoot || max(size, ySize) > 0x7f800000u || (size == 0x3f800000u && ySize == 0x7f800000u);
  return select(select(signed, ${float(NaN)}, undefined), 1.0, y == 0.0);
}
`,
    uses: ["fp_pow_positive"],
  },
};
