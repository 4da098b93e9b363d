/** Conversions between float and integer lanes, and the division of integers. */
import { f32x4, f64x2, i32x4, shuffle32x4, v128 } from "../wasm/index.ts";
import { scoped, words } from "./lanes.ts";
import type { LaneFunction, LaneFunction2, Vector } from "./lanes.ts";

/** Truncates towards zero; too large or too small gives the nearest integer there is, NaN gives 0. */
export const floatToInt: LaneFunction = (_, x) => i32x4.trunc_sat_f32x4_s(x);

/** As `floatToInt`, to unsigned integers. */
export const floatToUint: LaneFunction = (_, x) => i32x4.trunc_sat_f32x4_u(x);

/** Rounds to nearest. */
export const intToFloat: LaneFunction = (_, x) => f32x4.convert_i32x4_s(x);

/** Rounds to nearest. */
export const uintToFloat: LaneFunction = (_, x) => f32x4.convert_i32x4_u(x);

/** The upper two lanes, where instructions on the lower two find them. */
const upper = (x: Vector): Vector => shuffle32x4(x, x, [2, 3, 2, 3]);

/**
 * Quotients of 4 pairs by division in float64, then truncated. That is exact: the quotient of two integers of 32 bits
 * that is not an integer is further from the next one than half an ulp of float64.
 */
function quotients(a: Vector, b: Vector, widen: (x: Vector) => Vector, truncate: (x: Vector) => Vector): Vector {
  const low = truncate(f64x2.div(widen(a), widen(b)));
  const high = truncate(f64x2.div(widen(upper(a)), widen(upper(b))));
  const all = shuffle32x4(low, high, [0, 1, 4, 5]);
  return v128.andnot(all, i32x4.eq(b, words(0)));
}

/** Truncates towards zero; x / 0 is 0, and the least integer divided by -1 is itself. */
export const divideInt: LaneFunction2 = (f, a, b) =>
  scoped(f, () => {
    const [x, y] = [f.let(a), f.let(b)];
    const quotient = quotients(x, y, f64x2.convert_low_i32x4_s, i32x4.trunc_sat_f64x2_s_zero);
    // The conversion would saturate where negation wraps.
    return v128.bitselect(i32x4.neg(x), quotient, i32x4.eq(y, words(-1)));
  });

/** Rounds down; x / 0 is 0. */
export const divideUint: LaneFunction2 = (f, a, b) =>
  scoped(f, () => quotients(f.let(a), f.let(b), f64x2.convert_low_i32x4_u, i32x4.trunc_sat_f64x2_u_zero));
