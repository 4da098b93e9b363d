/** Functions of lanes that take an instruction or a few, and round as the reference does. */
import { f32x4, v128 } from "../wasm/index.ts";
import { floats, scoped, signBit } from "./lanes.ts";
import type { LaneFunction, LaneFunction2 } from "./lanes.ts";

export const neg: LaneFunction = (_, x) => f32x4.neg(x);

export const abs: LaneFunction = (_, x) => f32x4.abs(x);

export const floor: LaneFunction = (_, x) => f32x4.floor(x);

/** Rounded correctly. */
export const sqrt: LaneFunction = (_, x) => f32x4.sqrt(x);

/** Two roundings: at most 1.5 ulp. */
export const rsqrt: LaneFunction = (_, x) => f32x4.div(floats(1), f32x4.sqrt(x));

/** 1 with the sign of x; zeros and NaN stay as they are. */
export const sign: LaneFunction = (f, x) =>
  scoped(f, () => {
    const v = f.let(x);
    const one = v128.bitselect(v, floats(1), signBit());
    return v128.bitselect(one, v, f32x4.gt(f32x4.abs(v), floats(0)));
  });

/** All ones in the lanes that are finite, zero in the others. */
export const isFinite: LaneFunction = (_, x) => f32x4.lt(f32x4.abs(x), floats(Infinity));

/** Rounded correctly. */
export const div: LaneFunction2 = (_, a, b) => f32x4.div(a, b);

/** NaN if either operand is; 0 is above -0. */
export const max: LaneFunction2 = (_, a, b) => f32x4.max(a, b);

/** NaN if either operand is; -0 is below 0. */
export const min: LaneFunction2 = (_, a, b) => f32x4.min(a, b);
