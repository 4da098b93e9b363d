/**
 * Opcodes of the scalar instructions without effects: signature -> name in the text format -> code.
 * `memN` stands for an optional offset and alignment, where N bytes is the natural alignment.
 */

/** Instructions of one byte. */
// prettier-ignore
export const scalar = {
  i32: {
    "i32 -> i32": { eqz: 0x45, clz: 0x67, ctz: 0x68, popcnt: 0x69 },
    "i32 i32 -> i32": {
      eq: 0x46, ne: 0x47, lt_s: 0x48, lt_u: 0x49, gt_s: 0x4a, gt_u: 0x4b, le_s: 0x4c, le_u: 0x4d, ge_s: 0x4e, ge_u: 0x4f,
      add: 0x6a, sub: 0x6b, mul: 0x6c, div_s: 0x6d, div_u: 0x6e, rem_s: 0x6f, rem_u: 0x70,
      and: 0x71, or: 0x72, xor: 0x73, shl: 0x74, shr_s: 0x75, shr_u: 0x76, rotl: 0x77, rotr: 0x78,
    },
    "i32 i32 i32 -> i32": { select: 0x1b },
    "i64 -> i32": { wrap_i64: 0xa7 },
    "f32 -> i32": { trunc_f32_s: 0xa8, trunc_f32_u: 0xa9, reinterpret_f32: 0xbc },
    "f64 -> i32": { trunc_f64_s: 0xaa, trunc_f64_u: 0xab },
    "i32 mem4 -> i32": { load: 0x28 },
    "i32 mem2 -> i32": { load16_s: 0x2e, load16_u: 0x2f },
    "i32 mem1 -> i32": { load8_s: 0x2c, load8_u: 0x2d },
  },
  i64: {
    "i64 -> i32": { eqz: 0x50 },
    "i64 i64 -> i32": {
      eq: 0x51, ne: 0x52, lt_s: 0x53, lt_u: 0x54, gt_s: 0x55, gt_u: 0x56, le_s: 0x57, le_u: 0x58, ge_s: 0x59, ge_u: 0x5a,
    },
    "i64 -> i64": { clz: 0x79, ctz: 0x7a, popcnt: 0x7b },
    "i64 i64 -> i64": {
      add: 0x7c, sub: 0x7d, mul: 0x7e, div_s: 0x7f, div_u: 0x80, rem_s: 0x81, rem_u: 0x82,
      and: 0x83, or: 0x84, xor: 0x85, shl: 0x86, shr_s: 0x87, shr_u: 0x88, rotl: 0x89, rotr: 0x8a,
    },
    "i64 i64 i32 -> i64": { select: 0x1b },
    "i32 -> i64": { extend_i32_s: 0xac, extend_i32_u: 0xad },
    "f32 -> i64": { trunc_f32_s: 0xae, trunc_f32_u: 0xaf },
    "f64 -> i64": { trunc_f64_s: 0xb0, trunc_f64_u: 0xb1, reinterpret_f64: 0xbd },
    "i32 mem8 -> i64": { load: 0x29 },
    "i32 mem4 -> i64": { load32_s: 0x34, load32_u: 0x35 },
    "i32 mem2 -> i64": { load16_s: 0x32, load16_u: 0x33 },
    "i32 mem1 -> i64": { load8_s: 0x30, load8_u: 0x31 },
  },
  f32: {
    "f32 f32 -> i32": { eq: 0x5b, ne: 0x5c, lt: 0x5d, gt: 0x5e, le: 0x5f, ge: 0x60 },
    "f32 -> f32": { abs: 0x8b, neg: 0x8c, ceil: 0x8d, floor: 0x8e, trunc: 0x8f, nearest: 0x90, sqrt: 0x91 },
    "f32 f32 -> f32": { add: 0x92, sub: 0x93, mul: 0x94, div: 0x95, min: 0x96, max: 0x97, copysign: 0x98 },
    "f32 f32 i32 -> f32": { select: 0x1b },
    "i32 -> f32": { convert_i32_s: 0xb2, convert_i32_u: 0xb3, reinterpret_i32: 0xbe },
    "i64 -> f32": { convert_i64_s: 0xb4, convert_i64_u: 0xb5 },
    "f64 -> f32": { demote_f64: 0xb6 },
    "i32 mem4 -> f32": { load: 0x2a },
  },
  f64: {
    "f64 f64 -> i32": { eq: 0x61, ne: 0x62, lt: 0x63, gt: 0x64, le: 0x65, ge: 0x66 },
    "f64 -> f64": { abs: 0x99, neg: 0x9a, ceil: 0x9b, floor: 0x9c, trunc: 0x9d, nearest: 0x9e, sqrt: 0x9f },
    "f64 f64 -> f64": { add: 0xa0, sub: 0xa1, mul: 0xa2, div: 0xa3, min: 0xa4, max: 0xa5, copysign: 0xa6 },
    "f64 f64 i32 -> f64": { select: 0x1b },
    "i32 -> f64": { convert_i32_s: 0xb7, convert_i32_u: 0xb8 },
    "i64 -> f64": { convert_i64_s: 0xb9, convert_i64_u: 0xba, reinterpret_i64: 0xbf },
    "f32 -> f64": { promote_f32: 0xbb },
    "i32 mem8 -> f64": { load: 0x2b },
  },
} as const;

/** Sign extension within a type. */
export const signExtension = {
  i32: { "i32 -> i32": { extend8_s: 0xc0, extend16_s: 0xc1 } },
  i64: { "i64 -> i64": { extend8_s: 0xc2, extend16_s: 0xc3, extend32_s: 0xc4 } },
} as const;

/** Float to integer that saturates, and makes 0 of NaN; after the prefix 0xfc. */
export const saturating = {
  i32: {
    "f32 -> i32": { trunc_sat_f32_s: 0, trunc_sat_f32_u: 1 },
    "f64 -> i32": { trunc_sat_f64_s: 2, trunc_sat_f64_u: 3 },
  },
  i64: {
    "f32 -> i64": { trunc_sat_f32_s: 4, trunc_sat_f32_u: 5 },
    "f64 -> i64": { trunc_sat_f64_s: 6, trunc_sat_f64_u: 7 },
  },
} as const;
