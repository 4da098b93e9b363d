/** Functions that take a few instructions: NaN and infinities by their bits, extrema, sign, square root, division. */
import type { WgslLibrary } from "./library.ts";

/** Calls are no constant expressions: what overflows or is NaN inside is no error of the shader. */
const opaque = (type: string) => ({
  source: `fn fp_opaque_${type}(x: ${type}) -> ${type} { return x; }\n`,
  uses: [],
});

/** A NaN if either operand is one: a comparison of the bits is not optimised away, and the sum is then NaN. */
const extremum = (name: "max" | "min") => ({
  source: `fn fp_${name}(a: f32, b: f32) -> f32 {
  let larger = max(bitcast<u32>(a) & 0x7fffffffu, bitcast<u32>(b) & 0x7fffffffu);
  return select(${name}(a, b), a + b, larger > 0x7f800000u);
}
`,
  uses: [],
});

export const basic: WgslLibrary = {
  fp_opaque_f32: opaque("f32"),
  fp_opaque_i32: opaque("i32"),
  fp_opaque_u32: opaque("u32"),
  fp_is_nan: {
    source: "fn fp_is_nan(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }\n",
    uses: [],
  },
  fp_is_finite: {
    source: "fn fp_is_finite(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) < 0x7f800000u; }\n",
    uses: [],
  },
  fp_max: extremum("max"),
  fp_min: extremum("min"),
  fp_sign: {
    source: "fn fp_sign(x: f32) -> f32 { return select(sign(x), x, fp_is_nan(x)); }\n",
    uses: ["fp_is_nan"],
  },
  // The builtin is specified to 4.5 ulp only. One step of Goldschmidt's iteration from 1 / sqrt(x), which neither
  // overflows nor needs the product to be exact. Denormals are as small as zeros.
  fp_sqrt: {
    source: `fn fp_sqrt(x: f32) -> f32 {
  let y = inverseSqrt(x);
  let g = x * y;
  let root = fma(g, fma(-g, 0.5 * y, 0.5), g);
  let bits = bitcast<u32>(x);
  return select(root, x, (bits & 0x7fffffffu) < 0x00800000u || bits == 0x7f800000u);
}
`,
    uses: [],
  },
  // x / 0 is 0. The least integer over -1 wraps in WGSL as it does in the reference.
  fp_div_i32: {
    source: "fn fp_div_i32(a: i32, b: i32) -> i32 { return select(a / b, 0i, b == 0i); }\n",
    uses: [],
  },
  fp_div_u32: {
    source: "fn fp_div_u32(a: u32, b: u32) -> u32 { return select(a / b, 0u, b == 0u); }\n",
    uses: [],
  },
};
