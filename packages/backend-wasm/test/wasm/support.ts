/** What the tests of the writer share: wabt as an independent reader, instances, and module shorthands. */
import loadWabt from "wabt";
import { ModuleBuilder, webAssembly } from "../../src/wasm/index.ts";
import type { WasmModule, WebAssemblyApi } from "../../src/wasm/index.ts";

export const WebAssembly: WebAssemblyApi = webAssembly()!;

const wabt = await loadWabt();
const features = { simd: true, relaxed_simd: true, threads: true, bulk_memory: true, multi_value: true };

/** The text format of a module, after wabt has validated it. */
export function disassemble(bytes: Uint8Array): string {
  const module = wabt.readWasm(bytes, { readDebugNames: true, ...features });
  try {
    // It takes the features too, which its types do not say.
    (module as { validate(options: typeof features): void }).validate(features);
    return module.toText({ foldExprs: false, inlineExport: false });
  } finally {
    module.destroy();
  }
}

export type Exports = Record<string, (...args: (number | bigint)[]) => unknown>;

/** The exports of an instance, after wabt has validated the module too. */
export function instantiate(bytes: Uint8Array<ArrayBuffer>, imports: object = {}): Exports {
  disassemble(bytes);
  return instantiateOnly(new WebAssembly.Module(bytes), imports);
}

export const instantiateOnly = (module: WasmModule, imports: object = {}): Exports =>
  new WebAssembly.Instance(module, imports).exports as Exports;

/** A module with a memory of one page, exported as `memory`. */
export function moduleWithMemory(): ModuleBuilder {
  const m = new ModuleBuilder();
  m.export("memory", m.memory({ min: 1 }));
  return m;
}

/** The memory of an instance, as bytes. */
export const memoryOf = (exports: Exports): Uint8Array =>
  new Uint8Array((exports["memory"] as unknown as { buffer: ArrayBuffer }).buffer);
