/** Expressions: trees of instructions without effects, with the type of their value; nothing is written yet. */
import { WasmBuildError } from "./error.ts";
import type { Feature } from "./features.ts";
import { encodeSigned32, encodeSigned64 } from "./leb128.ts";
import type { Place } from "./place.ts";
import type { ValueType } from "./value-type.ts";

/** An instruction without its immediates. */
export interface Op {
  /** As the text format has it, with `_` for `.` inside a name. */
  readonly name: string;
  readonly code: readonly number[];
  readonly feature: Feature | undefined;
  /** Whether it needs a memory. */
  readonly memory: boolean;
}

/** More instructions than this in one expression are taken for operands that were shared by mistake. */
const maxSize = 4096;

const noBytes: readonly number[] = [];
const noOperands: readonly Expr[] = [];

/**
 * A recipe for a value of type T. It is written, and so evaluated, each time and at the point where a statement uses it:
 * an expression that is used twice is computed twice, and a load in it sees the memory of that moment.
 * `f.let(expression)` evaluates it once, at once.
 */
export class Expr<out T extends ValueType = ValueType> {
  // `declare`: tens of thousands are made per module, and fields of their own would be set twice.
  declare readonly type: T;
  declare readonly op: Op;
  declare readonly operands: readonly Expr[];
  declare readonly immediates: readonly number[];
  /** The local or global that it reads, if that is what it does. */
  declare readonly place: Place | undefined;
  /** Number of instructions, counting a shared operand as often as it is used. */
  declare readonly size: number;

  /** @throws WasmBuildError if the expression has grown beyond 4096 instructions */
  constructor(type: T, op: Op, operands: readonly Expr[], immediates: readonly number[] = noBytes, place?: Place) {
    this.type = type;
    this.op = op;
    this.operands = operands;
    this.immediates = immediates;
    this.place = place;
    let size = 1;
    // Indexed: modules are often built before the compiler has optimised this, and an iterator is slow until then.
    for (let i = 0; i < operands.length; i++) size += operands[i]?.size ?? 0;
    if (size > maxSize) {
      throw new WasmBuildError(
        `${op.name}: the expression has ${size} instructions. One that is used twice is computed twice; keep it with f.let`,
      );
    }
    this.size = size;
  }
}

/** What can stand where a value of type T is wanted: an expression, or a constant. */
export type Operand<T extends ValueType> =
  Expr<T> | (T extends "i32" | "f32" | "f64" ? number : T extends "i64" ? bigint : never);

export type I32 = Operand<"i32">;
export type I64 = Operand<"i64">;
export type F32 = Operand<"f32">;
export type F64 = Operand<"f64">;
export type V128 = Operand<"v128">;

const constant = (name: string, code: number[], feature?: Feature): Op => ({ name, code, feature, memory: false });
const i32ConstOp = constant("i32.const", [0x41]);
const i64ConstOp = constant("i64.const", [0x42]);
const f32ConstOp = constant("f32.const", [0x43]);
const f64ConstOp = constant("f64.const", [0x44]);
const v128ConstOp = constant("v128.const", [0xfd, 12], "simd");

/** @throws WasmBuildError unless value is an integer of at least -2^(bits - 1) and below 2^bits */
function checkInteger(value: number, bits: number, name: string): void {
  // Nearly all are: no powers for them.
  if (bits === 32 && (value | 0) === value) return;
  if (!Number.isInteger(value) || value < -(2 ** (bits - 1)) || value >= 2 ** bits) {
    throw new WasmBuildError(`${name}: ${value} is not an integer of ${bits} bits`);
  }
}

function checkInteger64(value: bigint, name: string): void {
  if (value < -(2n ** 63n) || value >= 2n ** 64n) {
    throw new WasmBuildError(`${name}: ${value.toString()} is not an integer of 64 bits`);
  }
}

/** Where one float becomes its bits. */
const scratch = new DataView(new ArrayBuffer(4));

/** Appends the low `bytes` bytes of an integer, little-endian. */
function pushBytes(to: number[], value: number, bytes: number): void {
  for (let i = 0; i < bytes; i++) to.push((value >> (8 * i)) & 0xff);
}

/** Little-endian bytes; every NaN becomes the canonical one, whatever the engine would write. */
function float32Bytes(values: readonly number[]): number[] {
  const bytes: number[] = [];
  values.forEach((value) => {
    scratch.setFloat32(0, value);
    pushBytes(bytes, Number.isNaN(value) ? 0x7fc0_0000 : scratch.getInt32(0), 4);
  });
  return bytes;
}

function float64Bytes(values: readonly number[]): number[] {
  const view = new DataView(new ArrayBuffer(8 * values.length));
  values.forEach((value, i) => {
    if (Number.isNaN(value)) view.setBigUint64(8 * i, 0x7ff8_0000_0000_0000n, true);
    else view.setFloat64(8 * i, value, true);
  });
  return [...new Uint8Array(view.buffer)];
}

/**
 * @param value signed or unsigned
 * @throws WasmBuildError unless it is an integer of 32 bits
 */
export function i32Const(value: number): Expr<"i32"> {
  checkInteger(value, 32, "i32.const");
  return new Expr("i32", i32ConstOp, noOperands, encodeSigned32(value));
}

/**
 * @param value signed or unsigned
 * @throws WasmBuildError unless it is an integer of 64 bits
 */
export function i64Const(value: bigint): Expr<"i64"> {
  checkInteger64(value, "i64.const");
  return new Expr("i64", i64ConstOp, [], encodeSigned64(value));
}

/** @param value rounded to float32 */
export const f32Const = (value: number): Expr<"f32"> => new Expr("f32", f32ConstOp, [], float32Bytes([value]));

export const f64Const = (value: number): Expr<"f64"> => new Expr("f64", f64ConstOp, [], float64Bytes([value]));

function v128Const(name: string, lanes: number, given: number, bytes: () => number[]): Expr<"v128"> {
  if (given !== lanes) throw new WasmBuildError(`${name} takes ${lanes} lanes, not ${given}`);
  return new Expr("v128", v128ConstOp, noOperands, bytes());
}

/** A vector of 4 floats, each rounded to float32. */
export const f32x4Const = (...lanes: readonly number[]): Expr<"v128"> =>
  v128Const("f32x4.const", 4, lanes.length, () => float32Bytes(lanes));

/** A vector of 2 floats. */
export const f64x2Const = (...lanes: readonly number[]): Expr<"v128"> =>
  v128Const("f64x2.const", 2, lanes.length, () => float64Bytes(lanes));

/** What makes vectors of integers of `bits` bits, signed or unsigned. */
export function integerVectorConst(bits: 8 | 16 | 32): (...lanes: readonly number[]) => Expr<"v128"> {
  const name = `i${bits}x${128 / bits}.const`;
  return (...lanes) =>
    v128Const(name, 128 / bits, lanes.length, () => {
      const bytes: number[] = [];
      lanes.forEach((lane) => {
        checkInteger(lane, bits, name);
        pushBytes(bytes, lane, bits / 8);
      });
      return bytes;
    });
}

/** A vector of 2 integers of 64 bits, signed or unsigned. */
export const i64x2Const = (...lanes: readonly bigint[]): Expr<"v128"> =>
  v128Const("i64x2.const", 2, lanes.length, () => {
    const view = new DataView(new ArrayBuffer(16));
    lanes.forEach((lane, i) => {
      checkInteger64(lane, "i64x2.const");
      view.setBigUint64(8 * i, BigInt.asUintN(64, lane), true);
    });
    return [...new Uint8Array(view.buffer)];
  });

function describe(value: unknown): string {
  if (value instanceof Expr) return `a value of type ${value.type}`;
  return typeof value === "bigint" ? `the bigint ${value.toString()}` : typeof value;
}

/**
 * The expression behind an operand. Types say the same; this holds for what a cast or plain JavaScript let through.
 * @param position of the operand, from 1
 * @throws WasmBuildError if the operand is not of the type
 */
export function toExpr<T extends ValueType>(value: unknown, type: T, name: string, position: number): Expr<T> {
  if (value instanceof Expr && value.type === type) return value as Expr<T>;
  if (typeof value === "number") {
    if (type === "i32") return i32Const(value) as Expr as Expr<T>;
    if (type === "f32") return f32Const(value) as Expr as Expr<T>;
    if (type === "f64") return f64Const(value) as Expr as Expr<T>;
  }
  if (typeof value === "bigint" && type === "i64") return i64Const(value) as Expr as Expr<T>;
  throw new WasmBuildError(`${name}: operand ${position} has to be of type ${type}, and is ${describe(value)}`);
}
