/**
 * Opcodes of the vector instructions without effects, after the prefix 0xfd: signature -> name in the text format -> code.
 * `laneN` stands for a lane number below N, `lanes` for the 16 lane numbers of a shuffle, `memN` as in scalar.ts.
 */

/** Vectors as bits, and as floats. */
// prettier-ignore
export const simdFloat = {
  v128: {
    "i32 mem16 -> v128": { load: 0 },
    "i32 mem8 -> v128": {
      load8x8_s: 1, load8x8_u: 2, load16x4_s: 3, load16x4_u: 4, load32x2_s: 5, load32x2_u: 6,
      load64_splat: 10, load64_zero: 93,
    },
    "i32 mem4 -> v128": { load32_splat: 9, load32_zero: 92 },
    "i32 mem2 -> v128": { load16_splat: 8 },
    "i32 mem1 -> v128": { load8_splat: 7 },
    "i32 v128 lane16 mem1 -> v128": { load8_lane: 84 },
    "i32 v128 lane8 mem2 -> v128": { load16_lane: 85 },
    "i32 v128 lane4 mem4 -> v128": { load32_lane: 86 },
    "i32 v128 lane2 mem8 -> v128": { load64_lane: 87 },
    "v128 -> v128": { not: 77 },
    "v128 v128 -> v128": { and: 78, andnot: 79, or: 80, xor: 81 },
    "v128 v128 v128 -> v128": { bitselect: 82 },
    "v128 -> i32": { any_true: 83 },
  },
  f32x4: {
    "f32 -> v128": { splat: 19 },
    "v128 lane4 -> f32": { extract_lane: 31 },
    "v128 lane4 f32 -> v128": { replace_lane: 32 },
    "v128 v128 -> v128": {
      eq: 65, ne: 66, lt: 67, gt: 68, le: 69, ge: 70,
      add: 228, sub: 229, mul: 230, div: 231, min: 232, max: 233, pmin: 234, pmax: 235,
    },
    "v128 -> v128": {
      ceil: 103, floor: 104, trunc: 105, nearest: 106, abs: 224, neg: 225, sqrt: 227,
      demote_f64x2_zero: 94, convert_i32x4_s: 250, convert_i32x4_u: 251,
    },
  },
  f64x2: {
    "f64 -> v128": { splat: 20 },
    "v128 lane2 -> f64": { extract_lane: 33 },
    "v128 lane2 f64 -> v128": { replace_lane: 34 },
    "v128 v128 -> v128": {
      eq: 71, ne: 72, lt: 73, gt: 74, le: 75, ge: 76,
      add: 240, sub: 241, mul: 242, div: 243, min: 244, max: 245, pmin: 246, pmax: 247,
    },
    "v128 -> v128": {
      ceil: 116, floor: 117, trunc: 122, nearest: 148, abs: 236, neg: 237, sqrt: 239,
      promote_low_f32x4: 95, convert_low_i32x4_s: 254, convert_low_i32x4_u: 255,
    },
  },
} as const;

/** Vectors as integers. */
// prettier-ignore
export const simdInteger = {
  i8x16: {
    "v128 v128 lanes -> v128": { shuffle: 13 },
    "i32 -> v128": { splat: 15 },
    "v128 lane16 -> i32": { extract_lane_s: 21, extract_lane_u: 22 },
    "v128 lane16 i32 -> v128": { replace_lane: 23 },
    "v128 v128 -> v128": {
      swizzle: 14, eq: 35, ne: 36, lt_s: 37, lt_u: 38, gt_s: 39, gt_u: 40, le_s: 41, le_u: 42, ge_s: 43, ge_u: 44,
      narrow_i16x8_s: 101, narrow_i16x8_u: 102,
      add: 110, add_sat_s: 111, add_sat_u: 112, sub: 113, sub_sat_s: 114, sub_sat_u: 115,
      min_s: 118, min_u: 119, max_s: 120, max_u: 121, avgr_u: 123,
    },
    "v128 -> v128": { abs: 96, neg: 97, popcnt: 98 },
    "v128 -> i32": { all_true: 99, bitmask: 100 },
    "v128 i32 -> v128": { shl: 107, shr_s: 108, shr_u: 109 },
  },
  i16x8: {
    "i32 -> v128": { splat: 16 },
    "v128 lane8 -> i32": { extract_lane_s: 24, extract_lane_u: 25 },
    "v128 lane8 i32 -> v128": { replace_lane: 26 },
    "v128 v128 -> v128": {
      eq: 45, ne: 46, lt_s: 47, lt_u: 48, gt_s: 49, gt_u: 50, le_s: 51, le_u: 52, ge_s: 53, ge_u: 54,
      q15mulr_sat_s: 130, narrow_i32x4_s: 133, narrow_i32x4_u: 134,
      add: 142, add_sat_s: 143, add_sat_u: 144, sub: 145, sub_sat_s: 146, sub_sat_u: 147, mul: 149,
      min_s: 150, min_u: 151, max_s: 152, max_u: 153, avgr_u: 155,
      extmul_low_i8x16_s: 156, extmul_high_i8x16_s: 157, extmul_low_i8x16_u: 158, extmul_high_i8x16_u: 159,
    },
    "v128 -> v128": {
      abs: 128, neg: 129, extadd_pairwise_i8x16_s: 124, extadd_pairwise_i8x16_u: 125,
      extend_low_i8x16_s: 135, extend_high_i8x16_s: 136, extend_low_i8x16_u: 137, extend_high_i8x16_u: 138,
    },
    "v128 -> i32": { all_true: 131, bitmask: 132 },
    "v128 i32 -> v128": { shl: 139, shr_s: 140, shr_u: 141 },
  },
  i32x4: {
    "i32 -> v128": { splat: 17 },
    "v128 lane4 -> i32": { extract_lane: 27 },
    "v128 lane4 i32 -> v128": { replace_lane: 28 },
    "v128 v128 -> v128": {
      eq: 55, ne: 56, lt_s: 57, lt_u: 58, gt_s: 59, gt_u: 60, le_s: 61, le_u: 62, ge_s: 63, ge_u: 64,
      add: 174, sub: 177, mul: 181, min_s: 182, min_u: 183, max_s: 184, max_u: 185, dot_i16x8_s: 186,
      extmul_low_i16x8_s: 188, extmul_high_i16x8_s: 189, extmul_low_i16x8_u: 190, extmul_high_i16x8_u: 191,
    },
    "v128 -> v128": {
      abs: 160, neg: 161, extadd_pairwise_i16x8_s: 126, extadd_pairwise_i16x8_u: 127,
      extend_low_i16x8_s: 167, extend_high_i16x8_s: 168, extend_low_i16x8_u: 169, extend_high_i16x8_u: 170,
      trunc_sat_f32x4_s: 248, trunc_sat_f32x4_u: 249, trunc_sat_f64x2_s_zero: 252, trunc_sat_f64x2_u_zero: 253,
    },
    "v128 -> i32": { all_true: 163, bitmask: 164 },
    "v128 i32 -> v128": { shl: 171, shr_s: 172, shr_u: 173 },
  },
  i64x2: {
    "i64 -> v128": { splat: 18 },
    "v128 lane2 -> i64": { extract_lane: 29 },
    "v128 lane2 i64 -> v128": { replace_lane: 30 },
    "v128 v128 -> v128": {
      add: 206, sub: 209, mul: 213, eq: 214, ne: 215, lt_s: 216, gt_s: 217, le_s: 218, ge_s: 219,
      extmul_low_i32x4_s: 220, extmul_high_i32x4_s: 221, extmul_low_i32x4_u: 222, extmul_high_i32x4_u: 223,
    },
    "v128 -> v128": {
      abs: 192, neg: 193,
      extend_low_i32x4_s: 199, extend_high_i32x4_s: 200, extend_low_i32x4_u: 201, extend_high_i32x4_u: 202,
    },
    "v128 -> i32": { all_true: 195, bitmask: 196 },
    "v128 i32 -> v128": { shl: 203, shr_s: 204, shr_u: 205 },
  },
} as const;

/** The one-byte `select`, of vectors. */
export const vectorSelect = { v128: { "v128 v128 i32 -> v128": { select: 0x1b } } } as const;

/**
 * Relaxed SIMD: instructions whose result may differ between machines in stated ways. V8 11 (Node 20, behind a flag) gets
 * `relaxed_dot_i8x16_i7x16_add_s` wrong.
 */
// prettier-ignore
export const relaxed = {
  f32x4: {
    "v128 v128 v128 -> v128": { relaxed_madd: 0x105, relaxed_nmadd: 0x106 },
    "v128 v128 -> v128": { relaxed_min: 0x10d, relaxed_max: 0x10e },
  },
  f64x2: {
    "v128 v128 v128 -> v128": { relaxed_madd: 0x107, relaxed_nmadd: 0x108 },
    "v128 v128 -> v128": { relaxed_min: 0x10f, relaxed_max: 0x110 },
  },
  i8x16: {
    "v128 v128 -> v128": { relaxed_swizzle: 0x100 },
    "v128 v128 v128 -> v128": { relaxed_laneselect: 0x109 },
  },
  i16x8: {
    "v128 v128 -> v128": { relaxed_q15mulr_s: 0x111, relaxed_dot_i8x16_i7x16_s: 0x112 },
    "v128 v128 v128 -> v128": { relaxed_laneselect: 0x10a },
  },
  i32x4: {
    "v128 -> v128": {
      relaxed_trunc_f32x4_s: 0x101, relaxed_trunc_f32x4_u: 0x102,
      relaxed_trunc_f64x2_s_zero: 0x103, relaxed_trunc_f64x2_u_zero: 0x104,
    },
    "v128 v128 v128 -> v128": { relaxed_laneselect: 0x10b, relaxed_dot_i8x16_i7x16_add_s: 0x113 },
  },
  i64x2: { "v128 v128 v128 -> v128": { relaxed_laneselect: 0x10c } },
} as const;
