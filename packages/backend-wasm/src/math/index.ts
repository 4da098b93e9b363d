/** Mathematics on lanes of WebAssembly vectors, written inline into a kernel's loop. No memory and no loops here. */
import { abs, div, floor, isFinite, max, min, neg, rsqrt, sign, sqrt } from "./basic.ts";
import { makeExp, makeExpm1, makeLogistic, makeTanh } from "./exponential.ts";
import type { LaneFunction, LaneFunction2 } from "./lanes.ts";
import { makeLog, makeLog1p } from "./logarithm.ts";
import { makePow } from "./power.ts";
import { makeCos, makeSin } from "./trigonometric.ts";

export { divideInt, divideUint, floatToInt, floatToUint, intToFloat, uintToFloat } from "./integers.ts";
export { threefry } from "./threefry.ts";
export type { LaneFunction, LaneFunction2, Vector } from "./lanes.ts";

// prettier-ignore
type Unary =
  | "neg" | "abs" | "sign" | "floor" | "exp" | "log" | "log1p" | "expm1" | "sin" | "cos" | "tanh" | "logistic"
  | "sqrt" | "rsqrt" | "isFinite";

/** The functions of float32 lanes. */
export interface LaneMath extends Readonly<Record<Unary, LaneFunction>> {
  readonly div: LaneFunction2;
  readonly max: LaneFunction2;
  readonly min: LaneFunction2;
  readonly pow: LaneFunction2;
}

/** @param relaxed whether to use relaxed SIMD: faster, within the same budgets, and the last bits may differ between machines */
export function laneMath({ relaxed = false }: { readonly relaxed?: boolean } = {}): LaneMath {
  return Object.freeze({
    neg,
    abs,
    sign,
    floor,
    exp: makeExp(relaxed),
    log: makeLog(relaxed),
    log1p: makeLog1p(relaxed),
    expm1: makeExpm1(relaxed),
    sin: makeSin(relaxed),
    cos: makeCos(relaxed),
    tanh: makeTanh(relaxed),
    logistic: makeLogistic(relaxed),
    sqrt,
    rsqrt,
    isFinite,
    div,
    max,
    min,
    pow: makePow(relaxed),
  });
}
