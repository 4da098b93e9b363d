/** Conversions from and to float32 that the builtins leave open. */
import type { WgslLibrary } from "./library.ts";

export const conversions: WgslLibrary = {
  // The builtins saturate at the greatest float32 in range, and do anything with NaN. NaN gives 0.
  fp_to_i32: {
    source: `fn fp_to_i32(x: f32) -> i32 {
  return select(select(i32(x), 2147483647i, x >= 2147483648.0), 0i, fp_is_nan(x));
}
`,
    uses: ["fp_is_nan"],
  },
  fp_to_u32: {
    source: `fn fp_to_u32(x: f32) -> u32 {
  return select(select(u32(x), 4294967295u, x >= 4294967296.0), 0u, fp_is_nan(x));
}
`,
    uses: ["fp_is_nan"],
  },
  // To nearest, as the builtin should but SwiftShader does not above 2^31: both parts are exact.
  fp_u32_to_f32: {
    source: "fn fp_u32_to_f32(x: u32) -> f32 { return f32(x >> 16u) * 65536.0 + f32(x & 0xffffu); }\n",
    uses: [],
  },
  // The nearest float16, ties to even, as a float32. quantizeToF16 may flush denormals, and leaves overflow open.
  fp_to_f16: {
    source: `fn fp_to_f16(x: f32) -> f32 {
  let bits = bitcast<u32>(x);
  let size = bits & 0x7fffffffu;
  let even = (size + 0x0fffu + ((size >> 13u) & 1u)) & 0xffffe000u;
  let limited = select(even, 0x7f800000u, even > 0x477fe000u);
  let normal = bitcast<f32>(select(limited, size, size >= 0x7f800000u) | (bits & 0x80000000u));
  return select(normal, round(x * 16777216.0) * 5.9604644775390625e-8, size < 0x38800000u);
}
`,
    uses: [],
  },
};
