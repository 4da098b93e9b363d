/** pow on lanes, computed in float64: y log2(x) needs about 8 bits more than float32 has. */
import { f32x4, f64x2, i64x2, shuffle32x4, v128 } from "../wasm/index.ts";
import type { FunctionBuilder } from "../wasm/index.ts";
import { arithmetic, floats, scoped, signBit } from "./lanes.ts";
import type { LaneFunction2, Vector } from "./lanes.ts";

/** Minimax of log2((1 + s) / (1 - s)) / s in s^2, for s up to that of sqrt(2): 2^-37.8 relative. */
const log2Terms = [2.885390081790142, 0.9617966732662652, 0.5770836003370584, 0.4116717453255112, 0.3407489899773952];

/** Minimax of 2^r on |r| <= 1/2 with 2^0 = 1: 2^-28.9 relative. */
const exp2Terms = [
  1, 0.6931472028809109, 0.24022647910255737, 0.055503324097103096, 0.009618437609323885, 0.0013398900160773218,
  0.00015353340287447282,
];

/** As `shifter`, for float64: integers in the low bits. */
const shifter64 = 1.5 * 2 ** 52;

const doubles = (value: number): Vector => f64x2.const(value, value);
const longs = (value: bigint): Vector => i64x2.const(value, value);

const polynomial64 = (coefficients: readonly number[], x: Vector): Vector =>
  coefficients.map(doubles).reduceRight((sum, coefficient) => f64x2.add(f64x2.mul(sum, x), coefficient));

/** log2 of two positive float64 that are finite and not denormal. */
function log2(f: FunctionBuilder, x: Vector): Vector {
  const bits = f.let(x);
  // The bits of sqrt(1/2), less those of 1: the exponent is then that of x / sqrt(1/2), rounded down.
  const high = f.let(i64x2.add(bits, longs(0x3ff0_0000_0000_0000n - 0x3fe6_a09e_667f_3bcdn)));
  // An integer in the low bits of 2^52 is added to it.
  const k = f64x2.sub(v128.or(i64x2.shr_u(high, 52), doubles(2 ** 52)), doubles(2 ** 52 + 1023));
  const fraction = v128.and(high, longs(0x000f_ffff_ffff_ffffn));
  const m = f.let(i64x2.add(fraction, longs(0x3fe6_a09e_667f_3bcdn)));
  const s = f.let(f64x2.div(f64x2.sub(m, doubles(1)), f64x2.add(m, doubles(1))));
  const z = f.let(f64x2.mul(s, s));
  return f64x2.add(k, f64x2.mul(s, polynomial64(log2Terms, z)));
}

/** 2^x of two float64, which overflows and underflows as float32 does once it is converted. */
function exp2(f: FunctionBuilder, x: Vector): Vector {
  const limited = f.let(f64x2.pmax(f64x2.pmin(x, doubles(200)), doubles(-200)));
  const shifted = f.let(f64x2.add(limited, doubles(shifter64)));
  const r = f.let(f64x2.sub(limited, f64x2.sub(shifted, doubles(shifter64))));
  return i64x2.add(polynomial64(exp2Terms, r), i64x2.shl(shifted, 52));
}

/** |x| ^ y in the lower two lanes, x being finite and not 0. */
const powLow = (f: FunctionBuilder, x: Vector, y: Vector): Vector =>
  f32x4.demote_f64x2_zero(exp2(f, f64x2.mul(f64x2.promote_low_f32x4(y), log2(f, f64x2.promote_low_f32x4(x)))));

/** At most 0.6 ulp, denormals included. As `Math.pow`: unlike in IEEE 754, (+-1) ** (+-Infinity) and 1 ** NaN are NaN. */
export function makePow(relaxed: boolean): LaneFunction2 {
  const { select } = arithmetic(relaxed);
  const infinity = floats(Infinity);
  const zero = floats(0);
  return (f, a, b) =>
    scoped(f, () => {
      const [x, y] = [f.let(a), f.let(b)];
      const size = f.let(f32x4.abs(x));
      const upper = [2, 3, 2, 3];
      const low = f.let(powLow(f, size, y));
      const high = powLow(f, shuffle32x4(size, size, upper), shuffle32x4(y, y, upper));
      const general = shuffle32x4(low, high, [0, 1, 4, 5]);

      // Bases without a logarithm: 0 and Infinity give one of the two, as the sign of y has it.
      const isZero = f.let(f32x4.eq(size, zero));
      const isInfinite = f.let(f32x4.eq(size, infinity));
      const extreme = v128.and(v128.xor(isZero, f32x4.gt(y, zero)), infinity);
      const magnitude = select(v128.or(isZero, isInfinite), extreme, general);

      const whole = f.let(f32x4.eq(f32x4.trunc(y), y));
      const half = f.let(f32x4.mul(y, floats(0.5)));
      const odd = v128.and(whole, f32x4.ne(f32x4.trunc(half), half));
      const signed = v128.or(magnitude, v128.and(v128.and(odd, x), signBit()));

      const noRoot = v128.andnot(v128.andnot(f32x4.lt(x, zero), whole), isInfinite);
      const isNaN = v128.or(f32x4.ne(x, x), f32x4.ne(y, y));
      const result = v128.or(signed, v128.or(noRoot, isNaN));
      return select(f32x4.eq(y, zero), floats(1), result);
    });
}
