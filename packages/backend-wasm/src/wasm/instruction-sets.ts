/** The instructions as functions, named as in the text format: `f32x4.add`, `i32.trunc_sat_f32_s`, `v128.load32_splat`. */
import {
  f32Const,
  f32x4Const,
  f64Const,
  f64x2Const,
  i32Const,
  i64Const,
  i64x2Const,
  integerVectorConst,
} from "./expression.ts";
import type { Expr } from "./expression.ts";
import { makers } from "./instruction.ts";
import type { InstructionSet } from "./instruction.ts";
import type { Instructions } from "./signature.ts";
import { atomics, bulkMemory, stores, vectorStores } from "./tables/effects.ts";
import { saturating, scalar, signExtension } from "./tables/scalar.ts";
import { relaxed, simdFloat, simdInteger, vectorSelect } from "./tables/simd.ts";

/** Instructions that make expressions. */
export const pureSets: readonly InstructionSet[] = [
  { prefix: undefined, feature: undefined, tables: scalar },
  { prefix: undefined, feature: "signExtension", tables: signExtension },
  { prefix: 0xfc, feature: "saturatingConversions", tables: saturating },
  { prefix: undefined, feature: "simd", tables: vectorSelect },
  { prefix: 0xfd, feature: "simd", tables: simdFloat },
  { prefix: 0xfd, feature: "simd", tables: simdInteger },
  { prefix: 0xfd, feature: "relaxedSimd", tables: relaxed },
];

/** Instructions that a function builder runs. */
export const effectSets: readonly InstructionSet[] = [
  { prefix: undefined, feature: undefined, tables: stores },
  { prefix: 0xfd, feature: "simd", tables: vectorStores },
  { prefix: 0xfc, feature: "bulkMemory", tables: bulkMemory },
  { prefix: 0xfe, feature: "threads", tables: atomics },
];

type PureTables = typeof scalar &
  typeof signExtension &
  typeof saturating &
  typeof vectorSelect &
  typeof simdFloat &
  typeof simdInteger &
  typeof relaxed;

/** The tables of `effectSets` by namespace. */
export type EffectTables = typeof stores & typeof vectorStores & typeof bulkMemory & typeof atomics;

type Pure<N extends keyof PureTables> = Instructions<PureTables[N]>;

const pure = <N extends keyof PureTables>(namespace: N): Pure<N> => makers(pureSets, namespace) as unknown as Pure<N>;

/** Makes a constant vector from its lanes. */
interface VectorConst<Lane> {
  /** @throws WasmBuildError on a wrong number of lanes, or a lane out of range */
  readonly const: (...lanes: readonly Lane[]) => Expr<"v128">;
}

export const i32: Pure<"i32"> & { readonly const: typeof i32Const } = { ...pure("i32"), const: i32Const };
export const i64: Pure<"i64"> & { readonly const: typeof i64Const } = { ...pure("i64"), const: i64Const };
export const f32: Pure<"f32"> & { readonly const: typeof f32Const } = { ...pure("f32"), const: f32Const };
export const f64: Pure<"f64"> & { readonly const: typeof f64Const } = { ...pure("f64"), const: f64Const };
export const v128: Pure<"v128"> = pure("v128");
export const i8x16: Pure<"i8x16"> & VectorConst<number> = { ...pure("i8x16"), const: integerVectorConst(8) };
export const i16x8: Pure<"i16x8"> & VectorConst<number> = { ...pure("i16x8"), const: integerVectorConst(16) };
export const i32x4: Pure<"i32x4"> & VectorConst<number> = { ...pure("i32x4"), const: integerVectorConst(32) };
export const i64x2: Pure<"i64x2"> & VectorConst<bigint> = { ...pure("i64x2"), const: i64x2Const };
export const f32x4: Pure<"f32x4"> & VectorConst<number> = { ...pure("f32x4"), const: f32x4Const };
export const f64x2: Pure<"f64x2"> & VectorConst<number> = { ...pure("f64x2"), const: f64x2Const };

/**
 * A shuffle of 32-bit lanes: lane i of the result is lane `lanes[i]` of the two vectors laid end to end.
 * @param lanes 4 numbers from 0 to 7
 */
export const shuffle32x4 = (a: Expr<"v128">, b: Expr<"v128">, lanes: readonly number[]): Expr<"v128"> =>
  i8x16.shuffle(a, b, byteLanes(lanes));

function byteLanes(lanes: readonly number[]): number[] {
  const bytes: number[] = [];
  lanes.forEach((lane) => bytes.push(4 * lane, 4 * lane + 1, 4 * lane + 2, 4 * lane + 3));
  return bytes;
}
