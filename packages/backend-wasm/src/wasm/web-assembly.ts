/** The `WebAssembly` global, typed: neither the language's library nor the Node types of this workspace declare it. */

export interface WasmModule {
  readonly [Symbol.toStringTag]: string;
}

export interface WasmInstance {
  readonly exports: Readonly<Record<string, unknown>>;
}

export interface WasmMemory {
  readonly buffer: ArrayBuffer | SharedArrayBuffer;
  /** @param pages of 64 KiB @returns the size before, in pages */
  grow(pages: number): number;
}

export interface WasmGlobal {
  value: unknown;
}

type Bytes = Uint8Array<ArrayBuffer>;

/** The part of the WebAssembly JavaScript interface that is used here. */
export interface WebAssemblyApi {
  validate(bytes: Bytes): boolean;
  compile(bytes: Bytes): Promise<WasmModule>;
  instantiate(module: WasmModule, imports?: object): Promise<WasmInstance>;
  readonly Module: new (bytes: Bytes) => WasmModule;
  readonly Instance: new (module: WasmModule, imports?: object) => WasmInstance;
  readonly Memory: new (limits: { initial: number; maximum?: number; shared?: boolean }) => WasmMemory;
  readonly Global: new (type: { value: string; mutable?: boolean }, value?: unknown) => WasmGlobal;
}

/** The global, or undefined where there is none: some hosts switch WebAssembly off. */
export const webAssembly = (): WebAssemblyApi | undefined =>
  (globalThis as { readonly WebAssembly?: WebAssemblyApi }).WebAssembly;
