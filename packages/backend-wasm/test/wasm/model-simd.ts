/** What each vector instruction computes, in JavaScript, lane by lane. */
import { nearest, saturate32s, saturate32u } from "./model-scalar.ts";
import { bytesOf } from "./values.ts";
import type { Value } from "./values.ts";

type Bytes = Uint8Array;
/** Called with the operands and lanes of its instruction. */
export type Model = (...operands: never[]) => Value;

const integerLanes = { i8x16: 8, i16x8: 16, i32x4: 32, i64x2: 64 } as const;
type IntegerShape = keyof typeof integerLanes;

/** Signed lanes. */
function lanes(bytes: Bytes, bits: number): bigint[] {
  const all = bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  return Array.from({ length: 128 / bits }, (_, i) => BigInt.asIntN(bits, all >> BigInt(bits * i)));
}

function pack(values: readonly bigint[], bits: number): Bytes {
  const bytes = values.flatMap((value) =>
    Array.from({ length: bits / 8 }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn)),
  );
  return Uint8Array.from({ length: 16 }, (_, i) => bytes[i] ?? 0);
}

const saturate = (value: bigint, low: bigint, high: bigint): bigint =>
  value < low ? low : value > high ? high : value;
const absolute = (x: bigint): bigint => (x < 0n ? -x : x);
const mask = (value: boolean): bigint => (value ? -1n : 0n);

function integerModels(shape: IntegerShape): Record<string, Model> {
  const bits = integerLanes[shape];
  const wide = BigInt(bits);
  const u = (x: bigint): bigint => BigInt.asUintN(bits, x);
  const [low, high, highest] = [-(2n ** (wide - 1n)), 2n ** (wide - 1n) - 1n, 2n ** wide - 1n];
  const binary: Record<string, (a: bigint, b: bigint) => bigint> = {
    add: (a, b) => a + b,
    sub: (a, b) => a - b,
    mul: (a, b) => a * b,
    eq: (a, b) => mask(a === b),
    ne: (a, b) => mask(a !== b),
    lt_s: (a, b) => mask(a < b),
    lt_u: (a, b) => mask(u(a) < u(b)),
    gt_s: (a, b) => mask(a > b),
    gt_u: (a, b) => mask(u(a) > u(b)),
    le_s: (a, b) => mask(a <= b),
    le_u: (a, b) => mask(u(a) <= u(b)),
    ge_s: (a, b) => mask(a >= b),
    ge_u: (a, b) => mask(u(a) >= u(b)),
    min_s: (a, b) => (a < b ? a : b),
    min_u: (a, b) => (u(a) < u(b) ? a : b),
    max_s: (a, b) => (a > b ? a : b),
    max_u: (a, b) => (u(a) > u(b) ? a : b),
    avgr_u: (a, b) => (u(a) + u(b) + 1n) >> 1n,
    add_sat_s: (a, b) => saturate(a + b, low, high),
    add_sat_u: (a, b) => saturate(u(a) + u(b), 0n, highest),
    sub_sat_s: (a, b) => saturate(a - b, low, high),
    sub_sat_u: (a, b) => saturate(u(a) - u(b), 0n, highest),
    q15mulr_sat_s: (a, b) => saturate((a * b + 0x4000n) >> 15n, low, high),
  };
  const unary: Record<string, (a: bigint) => bigint> = {
    abs: absolute,
    neg: (a) => -a,
    popcnt: (a) => BigInt(u(a).toString(2).replaceAll("0", "").length),
  };
  const shifts: Record<string, (a: bigint, by: bigint) => bigint> = {
    shl: (a, by) => a << by,
    shr_s: (a, by) => a >> by,
    shr_u: (a, by) => u(a) >> by,
  };
  const models: Record<string, Model> = {
    splat: (x: number | bigint) =>
      pack(
        Array.from({ length: 128 / bits }, () => BigInt(x)),
        bits,
      ),
    all_true: (a: Bytes) => (lanes(a, bits).every((lane) => lane !== 0n) ? 1 : 0),
    bitmask: (a: Bytes) => lanes(a, bits).reduce((sum, lane, i) => sum + (lane < 0n ? 1 << i : 0), 0),
    replace_lane: (a: Bytes, lane: number, x: number | bigint) =>
      pack(
        lanes(a, bits).map((old, i) => (i === lane ? BigInt(x) : old)),
        bits,
      ),
    extract_lane_s: (a: Bytes, lane: number) => Number(lanes(a, bits)[lane]!),
    extract_lane_u: (a: Bytes, lane: number) => Number(u(lanes(a, bits)[lane]!)),
    extract_lane: (a: Bytes, lane: number) => (bits === 64 ? lanes(a, bits)[lane]! : Number(lanes(a, bits)[lane]!)),
  };
  for (const [key, f] of Object.entries(binary)) {
    models[key] = (a: Bytes, b: Bytes) => {
      const right = lanes(b, bits);
      return pack(
        lanes(a, bits).map((x, i) => f(x, right[i]!)),
        bits,
      );
    };
  }
  for (const [key, f] of Object.entries(unary)) models[key] = (a: Bytes) => pack(lanes(a, bits).map(f), bits);
  for (const [key, f] of Object.entries(shifts)) {
    models[key] = (a: Bytes, by: number) =>
      pack(
        lanes(a, bits).map((x) => f(x, BigInt.asUintN(32, BigInt(by)) % wide)),
        bits,
      );
  }
  return {
    ...named(shape, models),
    ...wideningModels(shape, bits),
    ...narrowingModels(shape, bits, low, high, highest),
  };
}

const named = (shape: string, models: Record<string, Model>): Record<string, Model> =>
  Object.fromEntries(Object.entries(models).map(([key, model]) => [`${shape}.${key}`, model]));

/** From lanes of half the bits. */
function wideningModels(shape: IntegerShape, bits: number): Record<string, Model> {
  const half = bits / 2;
  const from = Object.keys(integerLanes).find((key) => integerLanes[key as IntegerShape] === half);
  if (from === undefined) return {};
  const models: Record<string, Model> = {};
  for (const s of ["s", "u"] as const) {
    const read = (a: Bytes) => lanes(a, half).map((x) => (s === "s" ? x : BigInt.asUintN(half, x)));
    const sides = { low: (x: bigint[]) => x.slice(0, 128 / bits), high: (x: bigint[]) => x.slice(128 / bits) };
    for (const [side, part] of Object.entries(sides)) {
      models[`extend_${side}_${from}_${s}`] = (a: Bytes) => pack(part(read(a)), bits);
      models[`extmul_${side}_${from}_${s}`] = (a: Bytes, b: Bytes) => {
        const right = part(read(b));
        return pack(
          part(read(a)).map((x, i) => x * right[i]!),
          bits,
        );
      };
    }
    models[`extadd_pairwise_${from}_${s}`] = (a: Bytes) => {
      const all = read(a);
      return pack(
        Array.from({ length: 128 / bits }, (_, i) => all[2 * i]! + all[2 * i + 1]!),
        bits,
      );
    };
  }
  return named(shape, models);
}

/** From lanes of twice the bits, saturating. */
function narrowingModels(shape: IntegerShape, bits: number, low: bigint, high: bigint, highest: bigint) {
  const from = Object.keys(integerLanes).find((key) => integerLanes[key as IntegerShape] === 2 * bits);
  const narrow = (least: bigint, most: bigint) => (a: Bytes, b: Bytes) =>
    pack(
      [...lanes(a, 2 * bits), ...lanes(b, 2 * bits)].map((x) => saturate(x, least, most)),
      bits,
    );
  return named(shape, {
    [`narrow_${String(from)}_s`]: narrow(low, high),
    [`narrow_${String(from)}_u`]: narrow(0n, highest),
  });
}

type Floats = Float32Array | Float64Array;

function floatModels(shape: "f32x4" | "f64x2"): Record<string, Model> {
  const bits = shape === "f32x4" ? 32 : 64;
  const read = (a: Bytes): Floats =>
    bits === 32 ? new Float32Array(a.slice().buffer) : new Float64Array(a.slice().buffer);
  const write = (values: readonly number[]): Bytes =>
    bytesOf(bits === 32 ? Float32Array.from(values) : Float64Array.from(values));
  const binary: Record<string, (a: number, b: number) => number> = {
    add: (a, b) => a + b,
    sub: (a, b) => a - b,
    mul: (a, b) => a * b,
    div: (a, b) => a / b,
    min: Math.min,
    max: Math.max,
    pmin: (a, b) => (b < a ? b : a),
    pmax: (a, b) => (a < b ? b : a),
  };
  const compare: Record<string, (a: number, b: number) => boolean> = {
    eq: (a, b) => a === b,
    ne: (a, b) => a !== b,
    lt: (a, b) => a < b,
    gt: (a, b) => a > b,
    le: (a, b) => a <= b,
    ge: (a, b) => a >= b,
  };
  const unary = {
    ...{ abs: Math.abs, ceil: Math.ceil, floor: Math.floor, trunc: Math.trunc },
    nearest,
    sqrt: Math.sqrt,
  };
  const models: Record<string, Model> = {
    neg: (a: Bytes) => write([...read(a)].map((x) => -x)),
    splat: (x: number) => write(Array.from({ length: 128 / bits }, () => x)),
    extract_lane: (a: Bytes, lane: number) => read(a)[lane]!,
    replace_lane: (a: Bytes, lane: number, x: number) => write([...read(a)].map((old, i) => (i === lane ? x : old))),
  };
  for (const [key, f] of Object.entries(binary)) {
    models[key] = (a: Bytes, b: Bytes) => write([...read(a)].map((x, i) => f(x, read(b)[i]!)));
  }
  for (const [key, f] of Object.entries(compare)) {
    models[key] = (a: Bytes, b: Bytes) =>
      pack(
        [...read(a)].map((x, i) => mask(f(x, read(b)[i]!))),
        bits,
      );
  }
  for (const [key, f] of Object.entries(unary)) models[key] = (a: Bytes) => write([...read(a)].map(f));
  return named(shape, models);
}

const f32s = (a: Bytes): number[] => [...new Float32Array(a.slice().buffer)];
const f64s = (a: Bytes): number[] => [...new Float64Array(a.slice().buffer)];
const i32s = (a: Bytes): number[] => [...new Int32Array(a.slice().buffer)];
const u32s = (a: Bytes): number[] => [...new Uint32Array(a.slice().buffer)];
const fromInts = (values: readonly number[]): Bytes => bytesOf(Int32Array.from([...values, 0, 0].slice(0, 4)));
const fromF32s = (values: readonly number[]): Bytes => bytesOf(Float32Array.from([...values, 0, 0].slice(0, 4)));
const fromF64s = (values: readonly number[]): Bytes => bytesOf(Float64Array.from(values));
const none = new Uint8Array(16);
const bits =
  (f: (a: number, b: number, c: number) => number) =>
  (a: Bytes, b = none, c = none): Bytes =>
    a.map((x, i) => f(x, b[i]!, c[i]!));

export const simdModels: Record<string, Model> = {
  ...integerModels("i8x16"),
  ...integerModels("i16x8"),
  ...integerModels("i32x4"),
  ...integerModels("i64x2"),
  ...floatModels("f32x4"),
  ...floatModels("f64x2"),
  "v128.not": bits((a) => ~a),
  "v128.and": bits((a, b) => a & b),
  "v128.andnot": bits((a, b) => a & ~b),
  "v128.or": bits((a, b) => a | b),
  "v128.xor": bits((a, b) => a ^ b),
  "v128.bitselect": bits((a, b, c) => (a & c) | (b & ~c)),
  "v128.any_true": (a: Bytes) => (a.some((x) => x !== 0) ? 1 : 0),
  "v128.select": (a: Bytes, b: Bytes, c: number) => (c !== 0 ? a : b),
  "i8x16.shuffle": (a: Bytes, b: Bytes, order: number[]) => Uint8Array.from(order, (i) => [...a, ...b][i]!),
  "i8x16.swizzle": (a: Bytes, b: Bytes) => b.map((i) => a[i] ?? 0),
  "i32x4.dot_i16x8_s": (a: Bytes, b: Bytes) => {
    const right = lanes(b, 16);
    const products = lanes(a, 16).map((x, i) => x * right[i]!);
    return pack(
      [0, 2, 4, 6].map((i) => products[i]! + products[i + 1]!),
      32,
    );
  },
  "i32x4.trunc_sat_f32x4_s": (a: Bytes) => fromInts(f32s(a).map(saturate32s)),
  "i32x4.trunc_sat_f32x4_u": (a: Bytes) => fromInts(f32s(a).map(saturate32u)),
  "i32x4.trunc_sat_f64x2_s_zero": (a: Bytes) => fromInts(f64s(a).map(saturate32s)),
  "i32x4.trunc_sat_f64x2_u_zero": (a: Bytes) => fromInts(f64s(a).map(saturate32u)),
  "f32x4.convert_i32x4_s": (a: Bytes) => fromF32s(i32s(a)),
  "f32x4.convert_i32x4_u": (a: Bytes) => fromF32s(u32s(a)),
  "f32x4.demote_f64x2_zero": (a: Bytes) => fromF32s(f64s(a)),
  "f64x2.convert_low_i32x4_s": (a: Bytes) => fromF64s(i32s(a).slice(0, 2)),
  "f64x2.convert_low_i32x4_u": (a: Bytes) => fromF64s(u32s(a).slice(0, 2)),
  "f64x2.promote_low_f32x4": (a: Bytes) => fromF64s(f32s(a).slice(0, 2)),
};

const dot8 = (a: Bytes, b: Bytes): bigint[] => {
  const right = lanes(b, 8);
  const products = lanes(a, 8).map((x, i) => x * right[i]!);
  return Array.from({ length: 8 }, (_, i) => products[2 * i]! + products[2 * i + 1]!);
};

const multiplyAdd =
  (read: (a: Bytes) => number[], write: (values: readonly number[]) => Bytes, sign: number) =>
  (a: Bytes, b: Bytes, c: Bytes): Bytes =>
    write(read(a).map((x, i) => sign * x * read(b)[i]! + read(c)[i]!));

/** What the relaxed instructions compute on operands for which the specification allows one result only. */
export const relaxedModels: Record<string, Model> = {
  "f32x4.relaxed_madd": multiplyAdd(f32s, fromF32s, 1),
  "f32x4.relaxed_nmadd": multiplyAdd(f32s, fromF32s, -1),
  "f64x2.relaxed_madd": multiplyAdd(f64s, fromF64s, 1),
  "f64x2.relaxed_nmadd": multiplyAdd(f64s, fromF64s, -1),
  ...Object.fromEntries(
    ["f32x4.min", "f32x4.max", "f64x2.min", "f64x2.max", "i8x16.swizzle"].map((name) => [
      name.replace(".", ".relaxed_"),
      simdModels[name]!,
    ]),
  ),
  ...Object.fromEntries(
    Object.keys(integerLanes).map((shape) => [`${shape}.relaxed_laneselect`, simdModels["v128.bitselect"]!]),
  ),
  ...Object.fromEntries(
    ["f32x4_s", "f32x4_u", "f64x2_s_zero", "f64x2_u_zero"].map((from) => [
      `i32x4.relaxed_trunc_${from}`,
      simdModels[`i32x4.trunc_sat_${from}`]!,
    ]),
  ),
  "i16x8.relaxed_q15mulr_s": simdModels["i16x8.q15mulr_sat_s"]!,
  "i16x8.relaxed_dot_i8x16_i7x16_s": (a: Bytes, b: Bytes) => pack(dot8(a, b), 16),
  "i32x4.relaxed_dot_i8x16_i7x16_add_s": (a: Bytes, b: Bytes, c: Bytes) => {
    const pairs = dot8(a, b);
    return pack(
      lanes(c, 32).map((x, i) => x + pairs[2 * i]! + pairs[2 * i + 1]!),
      32,
    );
  },
};
