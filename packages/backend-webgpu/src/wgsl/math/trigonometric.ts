/**
 * sin and cos. The builtins promise 2^-11 on [-pi, pi] and nothing beyond; these are accurate to 2^-22 up to about
 * 10,000. The reduction by multiples of pi/2 in three parts is that of Cody and Waite (1980).
 */
import { float, polynomial, type WgslLibrary } from "./library.ts";

/** pi/2 in three parts; the first two have 8 and 11 bits, so that their products with n < 2^13 are exact. */
const [first, second, third] = [1.5703125, 0.0004837512969970703, 7.549790126404332e-8];

/** Minimax of sin(r) / r in z = r^2 on |r| <= pi/4: 2^-28.0 absolute. */
const sinTerms = [1, -0.16666655, 0.00833219, -0.00019518405];

/** Minimax of (cos(r) - 1 + z / 2) / z^2, after the terms that it leaves: 2^-33.1 absolute. */
const cosTerms = [1, -0.5, 0.041666646, -0.0013887301, 0.00002443067];

/** sin(x + quarters pi/2). Where x is too large for the reduction, the clamp bounds the result. */
const sine = (name: string, quarters: 0 | 1) => ({
  source: `fn ${name}(x: f32) -> f32 {
  let n = round(x * ${float(2 / Math.PI)});
  let reduced = fma(-n, ${float(third)}, fma(-n, ${float(second)}, fma(-n, ${float(first)}, x)));
  let r = clamp(reduced, -0.79, 0.79);
  let z = r * r;
  let quadrant = i32(clamp(n, -1073741824.0, 1073741824.0)) + ${quarters};
  let size = select(r * ${polynomial(sinTerms, "z")}, ${polynomial(cosTerms, "z")}, (quadrant & 1) == 1);
  let y = select(size, -size, (quadrant & 2) == 2);
  return select(${float(NaN)}, y, fp_is_finite(x));
}
`,
  uses: ["fp_is_finite"],
});

export const trigonometric: WgslLibrary = { fp_sin: sine("fp_sin", 0), fp_cos: sine("fp_cos", 1) };
