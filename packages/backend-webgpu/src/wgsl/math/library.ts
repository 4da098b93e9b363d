/** What a function of the WGSL library is, and how numbers are written in its source. */

export interface WgslFunction {
  readonly source: string;
  /** Names of the functions that it calls. */
  readonly uses: readonly string[];
}

/** Functions by name. */
export type WgslLibrary = Readonly<Record<string, WgslFunction>>;

/**
 * Declarations that every module starts with: bits of floats. A constant expression must not be NaN or infinite, and a
 * constant -0 may become 0, so that these are variables.
 */
export const prelude: string =
  "var<private> fp_inf: u32 = 0x7f800000u;\n" +
  "var<private> fp_nan: u32 = 0x7fc00000u;\n" +
  "var<private> fp_minus_zero: u32 = 0x80000000u;\n";

/** A number, rounded to float32. Refers to variables of the prelude where it is -0, infinite or NaN. */
export function float(value: number): string {
  const rounded = Math.fround(value);
  if (Number.isNaN(rounded)) return "bitcast<f32>(fp_nan)";
  if (rounded === Infinity) return "bitcast<f32>(fp_inf)";
  if (rounded === -Infinity) return "bitcast<f32>(fp_inf | 0x80000000u)";
  if (Object.is(rounded, -0)) return "bitcast<f32>(fp_minus_zero)";
  return rounded < 0 ? `(${rounded}f)` : `${rounded}f`;
}

/** Horner's scheme. `x` is an identifier, and the coefficients are those of 1, x, x^2 and so on. */
export function polynomial(coefficients: readonly number[], x: string): string {
  return coefficients.map(float).reduceRight((sum, coefficient) => `(${sum} * ${x} + ${coefficient})`);
}
