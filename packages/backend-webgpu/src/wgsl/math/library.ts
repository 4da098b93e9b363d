/** What a function of the WGSL library is, and how numbers are written in its source. */

export interface WgslFunction {
  readonly source: string;
  /** Names of the functions that it calls. */
  readonly uses: readonly string[];
}

/** Functions by name. */
export type WgslLibrary = Readonly<Record<string, WgslFunction>>;

/**
 * Declarations that every module starts with. A constant expression must not be NaN or infinite, so that the bits of
 * these are variables.
 */
export const prelude = "var<private> fp_inf: u32 = 0x7f800000u;\nvar<private> fp_nan: u32 = 0x7fc00000u;\n";

/** A finite number, rounded to float32. */
export function float(value: number): string {
  const rounded = Math.fround(value);
  const text = Object.is(rounded, -0) ? "-0.0f" : `${rounded}f`;
  return text.startsWith("-") ? `(${text})` : text;
}

/** Horner's scheme. `x` is an identifier, and the coefficients are those of 1, x, x^2 and so on. */
export function polynomial(coefficients: readonly number[], x: string): string {
  return coefficients.map(float).reduceRight((sum, coefficient) => `(${sum} * ${x} + ${coefficient})`);
}
