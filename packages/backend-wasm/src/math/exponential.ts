/**
 * exp and what is made of it on lanes: expm1, tanh, logistic. Results that are denormal become 0.
 * The reduction to exp(x) = 2^n exp(r) with |r| <= ln(2) / 2 is that of Cody and Waite, Software Manual for the
 * Elementary Functions (1980), as in Cephes.
 */
import { f32x4, i32x4, v128 } from "../wasm/index.ts";
import type { FunctionBuilder } from "../wasm/index.ts";
import { arithmetic, floats, polynomial, scoped, shifter, signBit, words } from "./lanes.ts";
import type { Arithmetic, LaneFunction, Vector } from "./lanes.ts";

/** ln(2) in two parts; the first has 16 bits, so that its product with n is exact. */
export const ln2High = 0.693145751953125;
export const ln2Low = 1.4286068203094173e-6;

/** Minimax of (expm1(r) - r) / r^2 on |r| <= ln(2) / 2, for the relative error of expm1: 2^-25.8 once rounded. */
const expm1Terms = [0.49999997, 0.16666543, 0.0416672, 0.00836658, 0.001388251];

/** The first float32 whose exp is at least 2^-126. */
const least = -87.33654022216797;

/** The last float32 whose exp is finite. */
const greatest = 88.72283172607422;

interface Reduced {
  /** n in the low bits. */
  readonly shifted: Vector;
  /** expm1(r), to be used once. */
  readonly expm1: Vector;
}

/** r = x - n ln(2), for the n closest to x / ln(2). NaN stays NaN. */
function reduce(f: FunctionBuilder, ops: Arithmetic, x: Vector): Reduced {
  const shifted = f.let(ops.mulAdd(x, floats(Math.LOG2E), floats(shifter)));
  const n = f.let(f32x4.sub(shifted, floats(shifter)));
  const r = f.let(ops.mulSub(n, floats(ln2Low), ops.mulSub(n, floats(ln2High), x)));
  return { shifted, expm1: ops.mulAdd(f32x4.mul(r, r), polynomial(ops, expm1Terms, r), r) };
}

/** 2^(n + offset), where that is neither a denormal nor infinite. */
const powerOfTwo = (shifted: Vector, offset = 0): Vector =>
  i32x4.add(i32x4.shl(shifted, 23), words((127 + offset) * 2 ** 23));

/** `x`, or the bound; NaN stays NaN, which `min` and `max` would see to in more instructions. */
const atMost = (x: Vector, bound: number): Vector => f32x4.pmin(x, floats(bound));
const atLeast = (x: Vector, bound: number): Vector => f32x4.pmax(x, floats(bound));

/** exp(x): at most 1.1 ulp. */
export function makeExp(relaxed: boolean): LaneFunction {
  const ops = arithmetic(relaxed);
  return (f, x) =>
    scoped(f, () => {
      const v = f.let(x);
      const { shifted, expm1 } = reduce(f, ops, v);
      // n goes straight to the exponent: exp(r) < 1 where n is 128, so that no result in range overflows.
      const scaled = i32x4.add(f32x4.add(expm1, floats(1)), i32x4.shl(shifted, 23));
      const result = v128.andnot(scaled, f32x4.lt(v, floats(least)));
      return ops.select(f32x4.le(v, floats(greatest)), result, f32x4.add(v, floats(Infinity)));
    });
}

/** exp(x) - 1: at most 1.7 ulp. */
export function makeExpm1(relaxed: boolean): LaneFunction {
  const ops = arithmetic(relaxed);
  return (f, x) =>
    scoped(f, () => {
      const v = f.let(x);
      const { shifted, expm1 } = reduce(f, ops, f.let(atLeast(atMost(v, 89), -20)));
      // 2 (2^(n - 1) expm1(r) + (2^(n - 1) - 1/2)): 2^n itself would overflow at 128.
      const half = f.let(powerOfTwo(shifted, -1));
      const sum = f.let(ops.mulAdd(expm1, half, f32x4.sub(half, floats(0.5))));
      // The sign for -0; elsewhere it is there already.
      return v128.or(f32x4.add(sum, sum), v128.and(v, signBit()));
    });
}

/** -t / (2 + t) with t = expm1(-2|x|), and the sign of x: nothing cancels. At most 2.5 ulp. */
export function makeTanh(relaxed: boolean): LaneFunction {
  const ops = arithmetic(relaxed);
  return (f, x) =>
    scoped(f, () => {
      const v = f.let(x);
      const { shifted, expm1 } = reduce(f, ops, f.let(atLeast(f32x4.mul(f32x4.abs(v), floats(-2)), -20)));
      const power = f.let(powerOfTwo(shifted));
      const t = f.let(ops.mulAdd(expm1, power, f32x4.sub(power, floats(1))));
      return v128.bitselect(v, f32x4.div(t, f32x4.add(t, floats(2))), signBit());
    });
}

/** 1 / (1 + exp(-x)): where exp would overflow, the result is a denormal. At most 2.5 ulp. */
export function makeLogistic(relaxed: boolean): LaneFunction {
  const ops = arithmetic(relaxed);
  return (f, x) =>
    scoped(f, () => {
      const v = f.let(x);
      const { shifted, expm1 } = reduce(f, ops, f.let(atLeast(atMost(f32x4.neg(v), -least), -30)));
      const sum = f32x4.add(expm1, floats(1));
      const result = f32x4.div(floats(1), ops.mulAdd(sum, powerOfTwo(shifted), floats(1)));
      return v128.andnot(result, f32x4.lt(v, floats(least)));
    });
}
