/**
 * sin and cos on lanes. The reduction by multiples of pi/2 in three parts is that of Cody and Waite (1980); without the
 * long reduction of Payne and Hanek, results are accurate (2^-23.4 absolute) for |x|
 * up to 12,868 only, and lie in [-1, 1] beyond.
 */
import { f32x4, i32x4, v128 } from "../wasm/index.ts";
import type { FunctionBuilder } from "../wasm/index.ts";
import { arithmetic, floats, polynomial, scoped, shifter, signBit, words } from "./lanes.ts";
import type { Arithmetic, LaneFunction, Vector } from "./lanes.ts";

/** pi/2 in three parts; the first two have 8 and 11 bits, so that their products with n < 2^13 are exact. */
const halfPi = [1.5703125, 0.0004837512969970703, 7.549790126404332e-8] as const;

/** Minimax of sin(r) / r in z = r^2 on |r| <= pi/4: 2^-28.0 absolute. */
const sinTerms = [1, -0.16666655, 0.00833219, -0.00019518405];

/** Minimax of (cos(r) - 1 + z / 2) / z^2, after the terms that it leaves: 2^-33.1 absolute. */
const cosTerms = [1, -0.5, 0.041666646, -0.0013887301, 0.00002443067];

/** sin(x + quarters pi/2). */
function sine(f: FunctionBuilder, ops: Arithmetic, x: Vector, quarters: 0 | 1): Vector {
  const v = f.let(x);
  const shifted = f.let(ops.mulAdd(v, floats(2 / Math.PI), floats(shifter)));
  const n = f.let(f32x4.sub(shifted, floats(shifter)));
  const [first, second, third] = halfPi;
  const leading = ops.mulSub(n, floats(second), ops.mulSub(n, floats(first), v));
  // Where x is too large for the reduction, this at least bounds the result; NaN passes.
  const limited = f32x4.pmin(ops.mulSub(n, floats(third), leading), floats(0.79));
  const r = f.let(f32x4.pmax(limited, floats(-0.79)));
  const z = f.let(f32x4.mul(r, r));
  const ofSin = f32x4.mul(polynomial(ops, sinTerms, z), r);
  const ofCos = polynomial(ops, cosTerms, z);
  const quadrant = quarters === 0 ? shifted : f.let(i32x4.add(shifted, words(quarters)));
  const odd = i32x4.shr_s(i32x4.shl(quadrant, 31), 31);
  const negative = v128.and(i32x4.shl(quadrant, 30), signBit());
  return v128.xor(ops.select(odd, ofCos, ofSin), negative);
}

export function makeSin(relaxed: boolean): LaneFunction {
  const ops = arithmetic(relaxed);
  return (f, x) => scoped(f, () => sine(f, ops, x, 0));
}

export function makeCos(relaxed: boolean): LaneFunction {
  const ops = arithmetic(relaxed);
  return (f, x) => scoped(f, () => sine(f, ops, x, 1));
}
