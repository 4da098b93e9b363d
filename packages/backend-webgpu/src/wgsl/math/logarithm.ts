/**
 * log and log1p. The reduction to 2^k (1 + t) and the series in s = t / (2 + t) are those of K. C. Ng in FreeBSD's msun
 * (e_logf.c).
 */
import { ln2High, ln2Low } from "./exponential.ts";
import { float, polynomial, type WgslLibrary } from "./library.ts";

/** Minimax of (log((1 + s) / (1 - s)) / s - 2) / z in z = s^2, for s up to that of sqrt(2): 2^-30.2 relative to log. */
export const logTerms: readonly number[] = [0.66666776, 0.39977568, 0.2987146];

export const logarithm: WgslLibrary = {
  // k ln(2) + log(1 + t), where 1 + t lies between sqrt(1/2) and sqrt(2).
  fp_log_of_parts: {
    source: `fn fp_log_of_parts(k: f32, t: f32) -> f32 {
  let s = t / (t + 2.0);
  let z = s * s;
  let half = (0.5 * t) * t;
  let low = half - (s * (half + z * ${polynomial(logTerms, "z")}) + k * ${float(ln2Low)});
  return k * ${float(ln2High)} + (t - low);
}
`,
    uses: [],
  },
  // The builtin may be wrong by 2^-21 next to 1, and by anything at 0, denormals, infinity and NaN. Denormals count as 0.
  fp_log: {
    source: `fn fp_log(x: f32) -> f32 {
  let bits = bitcast<u32>(x);
  let k = bitcast<i32>((bits - 0x3f3504f3u) & 0xff800000u);
  let y = fp_log_of_parts(f32(k >> 23u), bitcast<f32>(bitcast<i32>(x) - k) - 1.0);
  let pole = select(${float(NaN)}, ${float(-Infinity)}, (bits & 0x7fffffffu) < 0x00800000u);
  let special = select(pole, x, bits == 0x7f800000u);
  return select(special, y, bits - 0x00800000u < 0x7f000000u);
}
`,
    uses: ["fp_log_of_parts"],
  },
  // t comes from x itself, and is x where k is 0, so that no rounding of 1 + x matters, nor what compilers make of it.
  fp_log1p: {
    source: `fn fp_log1p(x: f32) -> f32 {
  let u = bitcast<i32>(1.0 + x);
  let k = bitcast<i32>((bitcast<u32>(u) - 0x3f3504f3u) & 0xff800000u);
  let scale = bitcast<f32>(0x3f800000 - k);
  let large = select(fma(x, scale, scale - 1.0), bitcast<f32>(u - k) - 1.0, k > 0x0c000000);
  let y = fp_log_of_parts(f32(k >> 23u), select(large, x, k == 0));
  let bits = bitcast<u32>(x);
  let pole = select(${float(NaN)}, ${float(-Infinity)}, bits == 0xbf800000u);
  let special = select(pole, x, bits == 0x7f800000u);
  return select(special, y, bits < 0x7f800000u || (bits - 0x80000000u) < 0x3f800000u);
}
`,
    uses: ["fp_log_of_parts"],
  },
};
