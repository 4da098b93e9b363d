/**
 * log1p. The reduction to 2^k (1 + t) and the series in s = t / (2 + t) are those of K. C. Ng in FreeBSD's msun
 * (e_logf.c).
 */
import { ln2High, ln2Low } from "./exponential.ts";
import { float, polynomial, type WgslLibrary } from "./library.ts";

/** Minimax of (log((1 + s) / (1 - s)) / s - 2) / z in z = s^2, for s up to that of sqrt(2): 2^-30.2 relative to log. */
const logTerms = [0.66666776, 0.39977568, 0.2987146];

export const logarithm: WgslLibrary = {
  // 1 + x only serves to find k; t comes from x itself, and is x where k is 0, so that no rounding of the sum matters.
  fp_log1p: {
    source: `fn fp_log1p(x: f32) -> f32 {
  let k = bitcast<i32>((bitcast<u32>(1.0 + x) - 0x3f3504f3u) & 0xff800000u);
  let scale = bitcast<f32>(max(0x3f800000 - k, 0));
  let t = select(x * scale + (scale - 1.0), x, k == 0);
  let s = t / (t + 2.0);
  let z = s * s;
  let half = (0.5 * t) * t;
  let e = f32(k >> 23u);
  let low = half - (s * (half + z * ${polynomial(logTerms, "z")}) + e * ${float(ln2Low)});
  let y = e * ${float(ln2High)} + (t - low);
  let finite = select(y, x, bitcast<u32>(x) >= 0x7f800000u && bitcast<u32>(x) < 0x80000000u);
  let pole = select(finite, bitcast<f32>(fp_inf | 0x80000000u), x == -1.0);
  return select(pole, bitcast<f32>(fp_nan), bitcast<u32>(x) > 0xbf800000u);
}
`,
    uses: [],
  },
};
