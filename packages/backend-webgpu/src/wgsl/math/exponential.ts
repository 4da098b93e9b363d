/**
 * exp and what is made of it: expm1, tanh, logistic.
 * The reduction to exp(x) = 2^n exp(r) with |r| <= ln(2) / 2 is that of Cody and Waite, Software Manual for the
 * Elementary Functions (1980), as in Cephes. Results that are denormal may be 0.
 */
import { float, polynomial, type WgslLibrary } from "./library.ts";

/** ln(2) in two parts; the first has 16 bits, so that its product with n is exact. */
export const ln2High = 0.693145751953125;
export const ln2Low = 1.4286068203094173e-6;

/** Minimax of (expm1(r) - r) / r^2 on |r| <= ln(2) / 2, for the relative error of expm1: 2^-25.8 once rounded. */
const expm1Terms = [0.49999997, 0.16666543, 0.0416672, 0.00836658, 0.001388251];

/** The first float32 whose exp is at least 2^-126. */
const least = -87.33654022216797;

/** The last float32 whose exp is finite. */
const greatest = 88.72283172607422;

/**
 * n and p = expm1(r) of v. `fma`, here and below, is one expression to a compiler, which could otherwise merge the two
 * parts of ln(2), or bring back the cancellation that p avoids.
 */
const reduce = `  let n = round(v * ${float(Math.LOG2E)});
  let r = fma(-n, ${float(ln2Low)}, fma(-n, ${float(ln2High)}, v));
  let p = (r * r) * ${polynomial(expm1Terms, "r")} + r;
`;

export const exponential: WgslLibrary = {
  // The builtin may be wrong by 3 + 2 |x| ulp, of which SwiftShader takes a little more, and loses NaN.
  // n goes straight to the exponent: exp(r) < 1 where n is 128, so that no result in range overflows.
  fp_exp: {
    source: `fn fp_exp(x: f32) -> f32 {
  let v = clamp(x, ${float(least)}, ${float(greatest)});
${reduce}  let e = bitcast<f32>(bitcast<i32>(p + 1.0) + (i32(n) << 23u));
  let y = select(select(e, 0.0, x < ${float(least)}), ${float(Infinity)}, x > ${float(greatest)});
  return select(y, x, fp_is_nan(x));
}
`,
    uses: ["fp_is_nan"],
  },
  // 2 (2^(n - 1) p + (2^(n - 1) - 1/2)): 2^n itself would overflow at 128. Where n is 0, halving p might make it 0.
  fp_expm1: {
    source: `fn fp_expm1(x: f32) -> f32 {
  let v = clamp(x, -20.0, 89.0);
${reduce}  let h = bitcast<f32>((i32(n) + 126) << 23u);
  let y = select(2.0 * fma(p, h, h - 0.5), p, n == 0.0);
  return select(y, x, fp_is_nan(x));
}
`,
    uses: ["fp_is_nan"],
  },
  // t / (t + 2) with t = expm1(2 x): nothing cancels, for either sign. Division may be wrong, but not to more than 1.
  fp_tanh: {
    source: `fn fp_tanh(x: f32) -> f32 {
  let v = 2.0 * clamp(x, -10.0, 10.0);
${reduce}  let s = bitcast<f32>((i32(n) + 127) << 23u);
  let t = fma(p, s, s - 1.0);
  return select(min(t / (t + 2.0), 1.0), x, fp_is_nan(x));
}
`,
    uses: ["fp_is_nan"],
  },
  // 1 / (1 + exp(-x)): where exp would overflow, the result is a denormal. n goes straight to the exponent.
  fp_logistic: {
    source: `fn fp_logistic(x: f32) -> f32 {
  let v = clamp(-x, -30.0, ${float(-least)});
${reduce}  let e = bitcast<f32>(bitcast<i32>(p + 1.0) + (i32(n) << 23u));
  let y = select(1.0 / (1.0 + e), 0.0, x < ${float(least)});
  return select(y, x, fp_is_nan(x));
}
`,
    uses: ["fp_is_nan"],
  },
};
