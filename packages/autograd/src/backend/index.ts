/** For people who write backends: the interface to implement, and the IR that it is handed. */
export {
  ArgumentError,
  BackendLostError,
  BackendUnavailableError,
  BanachError,
  DisposedBufferError,
  DonatedBufferError,
  DTypeError,
  GraphError,
  OutOfMemoryError,
  ShapeError,
} from "../errors.ts";
export {
  type Atom,
  type Equation,
  type EquationOf,
  type Graph,
  isVar,
  type Literal,
  mapNestedGraphs,
  nestedGraphs,
  Var,
} from "../ir/graph.ts";
export { freeAxes } from "../ir/infer/contraction.ts";
export { inferEquation } from "../ir/infer.ts";
export { parseGraph } from "../ir/parse.ts";
export {
  type AxisPairs,
  type CompareDirection,
  PRIMITIVES,
  type PrimitiveName,
  type PrimitiveParams,
} from "../ir/primitives.ts";
export { printGraph } from "../ir/print.ts";
export {
  allocateHost,
  byteLengthOf,
  type DType,
  formatType,
  type HostArray,
  isFloat,
  isInteger,
  sameShape,
  sameType,
  type Shape,
  sizeOf,
  stridesOf,
  type TensorType,
  tensorType,
} from "../ir/tensor-type.ts";
export { verify } from "../ir/verify.ts";
export * from "../lower/index.ts";
export { optimize } from "../passes/index.ts";
export { BufferBooks, OwnedBuffer } from "../runtime/books.ts";
export { requireDonated, requireDTypes, requireNotAborted } from "../runtime/compile-checks.ts";
export type {
  Backend,
  BackendLimits,
  BackendLostInfo,
  Buffer,
  BufferState,
  CancelSignal,
  CompileOptions,
  Executable,
  MemoryStats,
  RunReport,
} from "../runtime/backend.ts";
