/** Running traced functions: devices, jit and graphs for reading. */
export type { ArrayLike, Concrete } from "./arguments.ts";
export { type BackendFactory, Device, open, type OpenResult } from "./device.ts";
export { jit, type Jitted, type JitOptions, type Resident } from "./jit.ts";
export { makeGraph } from "./make-graph.ts";
