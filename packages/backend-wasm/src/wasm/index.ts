/** The WebAssembly writer: typed modules, functions and instructions. It knows nothing of tensors. */
export { WasmBuildError } from "./error.ts";
export type { Expr, F32, F64, I32, I64, Operand, V128 } from "./expression.ts";
export type { Feature, Features } from "./features.ts";
export { FunctionBuilder } from "./function-builder.ts";
export type { Label } from "./function-builder.ts";
export type { Func } from "./function-type.ts";
export { f32, f32x4, f64, f64x2, i16x8, i32, i32x4, i64, i64x2, i8x16, shuffle32x4, v128 } from "./instruction-sets.ts";
export { ModuleBuilder } from "./module-builder.ts";
export type { Memory, ModuleOptions } from "./module-builder.ts";
export type { Global, Local } from "./place.ts";
export { probeFeatures } from "./probe.ts";
export type { ProbedFeatures } from "./probe.ts";
export { maxPages, pageBytes } from "./sections.ts";
export type { MemoryLimits } from "./sections.ts";
export type { DataSegment } from "./signature.ts";
export type { ValueType, ValueTypes } from "./value-type.ts";
export { webAssembly } from "./web-assembly.ts";
export type { WasmGlobal, WasmInstance, WasmMemory, WasmModule, WebAssemblyApi } from "./web-assembly.ts";
