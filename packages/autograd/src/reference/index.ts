/** The reference backend and its interpreter. */
export { referenceBackend, type ReferenceOptions } from "./backend.ts";
export { reference } from "./device.ts";
export { type CompiledGraph, compileGraph, evaluateGraph, type GraphResult } from "./interpret.ts";
