/** What each scalar instruction computes, in JavaScript; `undefined` where it traps. */

/** Called with the operands of its instruction. */
export type Model = (...operands: never[]) => number | bigint | undefined;

const min32 = -(2 ** 31);
const bool = (value: boolean): number => (value ? 1 : 0);
const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);
const i64 = (value: bigint): bigint => BigInt.asIntN(64, value);

/** Rounds half to even. */
export function nearest(x: number): number {
  const rounded = Math.round(x);
  const even = Math.abs(x % 1) === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
  return even === 0 && (x < 0 || Object.is(x, -0)) ? -0 : even;
}

const sign = (x: number): number => (x < 0 || Object.is(x, -0) ? -1 : 1);

/** An integer to float32 with one rounding: what lies below a float64's precision only decides ties. */
function toFloat32(value: bigint): number {
  const size = value < 0n ? -value : value;
  if (size < 2n ** 53n) return Math.fround(Number(value));
  const sticky = (size & 0x7ffn) === 0n ? 0n : 1n;
  return Math.fround(Number((size >> 11n) | sticky)) * 2048 * (value < 0n ? -1 : 1);
}

const inRange = (x: number, low: number, high: number): boolean => Math.trunc(x) >= low && Math.trunc(x) < high;
const clamp = (x: number, low: number, high: number): number =>
  Number.isNaN(x) ? 0 : Math.min(Math.max(Math.trunc(x), low), high);

function clamp64(x: number, low: bigint, high: bigint): bigint {
  if (Number.isNaN(x)) return 0n;
  if (x <= Number(low)) return low;
  return x >= Number(high) ? high : BigInt(Math.trunc(x));
}

export const saturate32s = (x: number): number => clamp(x, min32, 2 ** 31 - 1) | 0;
export const saturate32u = (x: number): number => clamp(x, 0, 2 ** 32 - 1) | 0;

const toInteger = (from: "f32" | "f64"): Record<string, (x: number) => number | bigint | undefined> => ({
  [`i32.trunc_${from}_s`]: (x) => (inRange(x, min32, 2 ** 31) ? Math.trunc(x) | 0 : undefined),
  [`i32.trunc_${from}_u`]: (x) => (inRange(x, 0, 2 ** 32) ? Math.trunc(x) | 0 : undefined),
  [`i32.trunc_sat_${from}_s`]: saturate32s,
  [`i32.trunc_sat_${from}_u`]: saturate32u,
  [`i64.trunc_${from}_s`]: (x) => (inRange(x, -(2 ** 63), 2 ** 63) ? BigInt(Math.trunc(x)) : undefined),
  [`i64.trunc_${from}_u`]: (x) => (inRange(x, 0, 2 ** 64) ? i64(BigInt(Math.trunc(x))) : undefined),
  [`i64.trunc_sat_${from}_s`]: (x) => clamp64(x, -(2n ** 63n), 2n ** 63n - 1n),
  [`i64.trunc_sat_${from}_u`]: (x) => i64(clamp64(x, 0n, 2n ** 64n - 1n)),
});

const floats = (type: "f32" | "f64", round: (x: number) => number): Record<string, Model> => {
  const rows: Record<string, (a: number, b: number, c: number) => number> = {
    eq: (a, b) => bool(a === b),
    ne: (a, b) => bool(a !== b),
    lt: (a, b) => bool(a < b),
    gt: (a, b) => bool(a > b),
    le: (a, b) => bool(a <= b),
    ge: (a, b) => bool(a >= b),
    abs: Math.abs,
    neg: (a) => -a,
    ceil: Math.ceil,
    floor: Math.floor,
    trunc: Math.trunc,
    nearest,
    sqrt: (a) => round(Math.sqrt(a)),
    add: (a, b) => round(a + b),
    sub: (a, b) => round(a - b),
    mul: (a, b) => round(a * b),
    div: (a, b) => round(a / b),
    min: Math.min,
    max: Math.max,
    copysign: (a, b) => Math.abs(a) * sign(b),
    select: (a, b, c) => (c !== 0 ? a : b),
    convert_i32_s: (a) => round(a),
    convert_i32_u: (a) => round(a >>> 0),
  };
  const from64: Record<string, (a: bigint) => number> = {
    convert_i64_s: (a) => (type === "f32" ? toFloat32(a) : Number(a)),
    convert_i64_u: (a) => (type === "f32" ? toFloat32(u64(a)) : Number(u64(a))),
  };
  return Object.fromEntries(
    Object.entries<Model>({ ...rows, ...from64 }).map(([key, model]) => [`${type}.${key}`, model]),
  );
};

const integers = (bits: 32 | 64): Record<string, Model> => {
  const type = `i${bits}`;
  const s = (x: bigint): bigint => BigInt.asIntN(bits, x);
  const u = (x: bigint): bigint => BigInt.asUintN(bits, x);
  const shift = (b: bigint): bigint => u(b) % BigInt(bits);
  const count = (x: bigint): string => u(x).toString(2).padStart(bits, "0");
  const most = -(2n ** BigInt(bits - 1));
  const rows: Record<string, (a: bigint, b: bigint) => bigint | undefined> = {
    add: (a, b) => a + b,
    sub: (a, b) => a - b,
    mul: (a, b) => a * b,
    div_s: (a, b) => (b === 0n || (a === most && b === -1n) ? undefined : a / b),
    div_u: (a, b) => (b === 0n ? undefined : u(a) / u(b)),
    rem_s: (a, b) => (b === 0n ? undefined : a % b),
    rem_u: (a, b) => (b === 0n ? undefined : u(a) % u(b)),
    and: (a, b) => a & b,
    or: (a, b) => a | b,
    xor: (a, b) => a ^ b,
    shl: (a, b) => a << shift(b),
    shr_s: (a, b) => a >> shift(b),
    shr_u: (a, b) => u(a) >> shift(b),
    rotl: (a, b) => (u(a) << shift(b)) | (u(a) >> (BigInt(bits) - shift(b))),
    rotr: (a, b) => (u(a) >> shift(b)) | (u(a) << (BigInt(bits) - shift(b))),
    clz: (a) => BigInt(count(a).indexOf("1") < 0 ? bits : count(a).indexOf("1")),
    ctz: (a) => BigInt(count(a).lastIndexOf("1") < 0 ? bits : bits - 1 - count(a).lastIndexOf("1")),
    popcnt: (a) => BigInt(count(a).replaceAll("0", "").length),
    extend8_s: (a) => BigInt.asIntN(8, a),
    extend16_s: (a) => BigInt.asIntN(16, a),
    ...(bits === 64 ? { extend32_s: (a: bigint) => BigInt.asIntN(32, a) } : {}),
  };
  const tests: Record<string, (a: bigint, b: bigint) => boolean> = {
    eqz: (a) => a === 0n,
    eq: (a, b) => a === b,
    ne: (a, b) => a !== b,
    lt_s: (a, b) => a < b,
    lt_u: (a, b) => u(a) < u(b),
    gt_s: (a, b) => a > b,
    gt_u: (a, b) => u(a) > u(b),
    le_s: (a, b) => a <= b,
    le_u: (a, b) => u(a) <= u(b),
    ge_s: (a, b) => a >= b,
    ge_u: (a, b) => u(a) >= u(b),
  };
  const wide = (x: number | bigint | undefined): bigint => BigInt(x ?? 0);
  const models: Record<string, Model> = {
    [`${type}.select`]: (a: number | bigint, b: number | bigint, c: number) => (c !== 0 ? a : b),
  };
  for (const [key, row] of Object.entries(rows)) {
    models[`${type}.${key}`] = (a: number | bigint, b: number | bigint) => {
      const value = row(wide(a), wide(b));
      if (value === undefined) return undefined;
      return bits === 32 ? Number(s(value)) : s(value);
    };
  }
  for (const [key, row] of Object.entries(tests)) {
    models[`${type}.${key}`] = (a: number | bigint, b: number | bigint) => bool(row(wide(a), wide(b)));
  }
  return models;
};

/** The bits of a number of one type, read as another. */
function reinterpret(write: (view: DataView, x: never) => void, read: (view: DataView) => number | bigint): Model {
  return (x) => {
    const view = new DataView(new ArrayBuffer(8));
    write(view, x);
    return read(view);
  };
}

export const scalarModels: Record<string, Model> = {
  ...integers(32),
  ...integers(64),
  ...floats("f32", Math.fround),
  ...floats("f64", (x) => x),
  ...toInteger("f32"),
  ...toInteger("f64"),
  "i32.wrap_i64": (x: bigint) => Number(BigInt.asIntN(32, x)),
  "i64.extend_i32_s": (x: number) => BigInt(x),
  "i64.extend_i32_u": (x: number) => BigInt(x >>> 0),
  "f32.demote_f64": Math.fround,
  "f64.promote_f32": (x: number) => x,
  "i32.reinterpret_f32": reinterpret(
    (view, x) => view.setFloat32(0, x),
    (view) => view.getInt32(0),
  ),
  "f32.reinterpret_i32": reinterpret(
    (view, x) => view.setInt32(0, x),
    (view) => view.getFloat32(0),
  ),
  "i64.reinterpret_f64": reinterpret(
    (view, x) => view.setFloat64(0, x),
    (view) => view.getBigInt64(0),
  ),
  "f64.reinterpret_i64": reinterpret(
    (view, x) => view.setBigInt64(0, x),
    (view) => view.getFloat64(0),
  ),
};
