/** Running traced functions: devices, jit and graphs for reading. */
export { type BackendFactory, Device, open, type OpenResult } from "./device.ts";
export { jit, type Jitted, type JitOptions, type Resident } from "./jit.ts";
export { type ArrayLike, type Concrete, makeGraph } from "./make-graph.ts";
