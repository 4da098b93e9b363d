/** What the functions on lanes are made of: their types, constants, scopes and the arithmetic that relaxed SIMD speeds up. */
import { f32x4, i32x4, v128 } from "../wasm/index.ts";
import type { Expr, FunctionBuilder, Local } from "../wasm/index.ts";

export type Vector = Expr<"v128">;

/**
 * A function of each of 4 lanes, without branches. Longer ones write their computation at the point where `f` is, and
 * give the local that keeps the value; short ones give an instruction. The operand is evaluated once.
 */
export type LaneFunction = (f: FunctionBuilder, x: Vector) => Vector;

/** As `LaneFunction`, of two operands. */
export type LaneFunction2 = (f: FunctionBuilder, a: Vector, b: Vector) => Vector;

/** Operations that have a faster form in relaxed SIMD. */
export interface Arithmetic {
  /** `a * b + c`, rounded once or twice. */
  readonly mulAdd: (a: Vector, b: Vector, c: Vector) => Vector;
  /** `c - a * b`, rounded once or twice. */
  readonly mulSub: (a: Vector, b: Vector, c: Vector) => Vector;
  /** `onTrue` in the lanes where the mask is all ones, `onFalse` where it is zero. */
  readonly select: (mask: Vector, onTrue: Vector, onFalse: Vector) => Vector;
}

const baseArithmetic: Arithmetic = {
  mulAdd: (a, b, c) => f32x4.add(f32x4.mul(a, b), c),
  mulSub: (a, b, c) => f32x4.sub(c, f32x4.mul(a, b)),
  select: (mask, onTrue, onFalse) => v128.bitselect(onTrue, onFalse, mask),
};

const relaxedArithmetic: Arithmetic = {
  mulAdd: (a, b, c) => f32x4.relaxed_madd(a, b, c),
  mulSub: (a, b, c) => f32x4.relaxed_nmadd(a, b, c),
  select: (mask, onTrue, onFalse) => i32x4.relaxed_laneselect(onTrue, onFalse, mask),
};

/** @param relaxed whether to use relaxed SIMD: a little faster, and the last bits may differ between machines */
export const arithmetic = (relaxed: boolean): Arithmetic => (relaxed ? relaxedArithmetic : baseArithmetic);

/** The same number in 4 lanes, rounded to float32. */
export const floats = (value: number): Vector => f32x4.const(value, value, value, value);

/** The same integer of 32 bits in 4 lanes, signed or unsigned. */
export const words = (value: number): Vector => i32x4.const(value, value, value, value);

/** Adding it to a float below 2^22 rounds that to an integer, whose two's complement is in the low bits of the sum. */
export const shifter: number = 1.5 * 2 ** 23;

/** The bit of the sign. */
export const signBit = (): Vector => words(0x8000_0000);

/** Least positive number that is not a denormal. */
export const leastNormal: number = 2 ** -126;

/**
 * Horner's scheme.
 * @param coefficients of 1, x, x^2 and so on; at least one
 * @param x evaluated once for each coefficient but the first
 */
export function polynomial({ mulAdd }: Arithmetic, coefficients: readonly number[], x: Vector): Vector {
  return coefficients.map(floats).reduceRight((sum, coefficient) => mulAdd(sum, x, coefficient));
}

/** Writes a computation whose locals end with it, and keeps its value in a local of the scope outside. */
export function scoped(f: FunctionBuilder, body: () => Vector): Local<"v128"> {
  const result = f.local("v128");
  f.scope(() => f.set(result, body()));
  return result;
}
