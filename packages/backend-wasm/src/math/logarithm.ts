/**
 * log and log1p on lanes. The reduction to 2^k m and the series in s = (m - 1) / (m + 1) are those of K. C. Ng in
 * FreeBSD's msun (e_logf.c).
 */
import { f32x4, i32x4, v128 } from "../wasm/index.ts";
import type { FunctionBuilder } from "../wasm/index.ts";
import { ln2High, ln2Low } from "./exponential.ts";
import { arithmetic, floats, leastNormal, polynomial, scoped, signBit, words } from "./lanes.ts";
import type { Arithmetic, LaneFunction, Vector } from "./lanes.ts";

/** Minimax of (log((1 + s) / (1 - s)) / s - 2) / z in z = s^2, for s up to that of sqrt(2): 2^-30.2 relative to log. */
const logTerms = [0.66666776, 0.39977568, 0.2987146];

/** The bits of sqrt(1/2) as a float32: m is from there to sqrt(2). */
const rootHalfBits = 0x3f35_04f3;

const oneBits = 0x3f80_0000;

/** The k that brings u / 2^k between sqrt(1/2) and sqrt(2), as an integer times 2^23. u is positive and no denormal. */
function exponentBits(f: FunctionBuilder, u: Vector): Vector {
  return f.let(v128.and(i32x4.sub(u, words(rootHalfBits)), words(0xff80_0000)));
}

/** k as a float, from k times 2^23. */
const exponent = (bits: Vector): Vector => f32x4.convert_i32x4_s(i32x4.shr_s(bits, 23));

/** k ln(2) + log(1 + t), where 1 + t lies between sqrt(1/2) and sqrt(2). */
function logOfParts(f: FunctionBuilder, ops: Arithmetic, k: Vector, t: Vector): Vector {
  const s = f.let(f32x4.div(t, f32x4.add(t, floats(2))));
  const z = f.let(f32x4.mul(s, s));
  const halfSquare = f.let(f32x4.mul(f32x4.mul(t, floats(0.5)), t));
  const series = ops.mulAdd(polynomial(ops, logTerms, z), z, halfSquare);
  const low = f32x4.sub(halfSquare, ops.mulAdd(s, series, f32x4.mul(k, floats(ln2Low))));
  return ops.mulAdd(k, floats(ln2High), f32x4.sub(t, low));
}

/** NaN below `least`, -Infinity at it, and x itself if it is NaN or Infinity. */
function atTheEnds(ops: Arithmetic, x: Vector, least: number, result: Vector): Vector {
  const finite = ops.select(f32x4.lt(x, floats(Infinity)), result, x);
  const pole = v128.and(f32x4.eq(x, floats(least)), floats(-Infinity));
  return v128.or(f32x4.add(finite, pole), f32x4.lt(x, floats(least)));
}

/** log(x): at most 0.8 ulp, denormals included. */
export function makeLog(relaxed: boolean): LaneFunction {
  const ops = arithmetic(relaxed);
  return (f, x) =>
    scoped(f, () => {
      const v = f.let(x);
      const denormal = f.let(f32x4.lt(v, floats(leastNormal)));
      const u = f.let(ops.select(denormal, f32x4.mul(v, floats(2 ** 23)), v));
      const bits = exponentBits(f, u);
      const k = f.let(f32x4.sub(exponent(bits), v128.and(denormal, floats(23))));
      const t = f.let(f32x4.sub(i32x4.sub(u, bits), floats(1)));
      return atTheEnds(ops, v, 0, logOfParts(f, ops, k, t));
    });
}

/**
 * log(1 + x): at most 1.4 ulp. The rounding error of the sum is computed (Knuth's TwoSum), and goes into the reduced
 * argument.
 */
export function makeLog1p(relaxed: boolean): LaneFunction {
  const ops = arithmetic(relaxed);
  return (f, x) =>
    scoped(f, () => {
      const v = f.let(x);
      const u = f.let(f32x4.add(v, floats(1)));
      const rounded = f.let(f32x4.sub(u, floats(1)));
      const error = f32x4.add(f32x4.sub(floats(1), f32x4.sub(u, rounded)), f32x4.sub(v, rounded));
      const bits = exponentBits(f, u);
      // 2^-k, or 0 where the error no longer matters and 2^-k would be a denormal.
      const scale = i32x4.max_s(i32x4.sub(words(oneBits), bits), words(0));
      const t = f.let(ops.mulAdd(error, scale, f32x4.sub(i32x4.sub(u, bits), floats(1))));
      const result = logOfParts(f, ops, exponent(bits), t);
      // The sign for -0; elsewhere it is there already.
      return v128.or(atTheEnds(ops, v, -1, result), v128.and(v, signBit()));
    });
}
