/** @banach/autograd: trace, differentiate, compile and run. Layers are in `nn`, optimisers in `optim`, keys in `random`. */
export {
  ArgumentError,
  BackendLostError,
  BackendUnavailableError,
  BanachError,
  CheckpointError,
  DisposedBufferError,
  DonatedBufferError,
  DTypeError,
  GraphError,
  NonFiniteError,
  NotConvergedError,
  NotDifferentiableError,
  OutOfMemoryError,
  ShapeError,
  TraceError,
  TreeError,
} from "./errors.ts";
export type { ConcreteArray } from "./ir/concrete-array.ts";
export type { Graph } from "./ir/graph.ts";
export { parseGraph } from "./ir/parse.ts";
export { printGraph } from "./ir/print.ts";
export type { DType, HostArray, Shape, TensorType } from "./ir/tensor-type.ts";
export { formatType } from "./ir/tensor-type.ts";
export {
  type ArrayLike,
  type BackendFactory,
  type Concrete,
  Device,
  jit,
  type Jitted,
  type JitOptions,
  makeGraph,
  open,
  type OpenResult,
  type Resident,
} from "./jit/index.ts";
export * as nn from "./nn/index.ts";
export * from "./ops/index.ts";
export * as optim from "./optim/index.ts";
export { optimize } from "./passes/index.ts";
export * as random from "./random/index.ts";
export { eagerly, key, type Tensor } from "./random/index.ts";
export type { BackendLostInfo, MemoryStats } from "./runtime/backend.ts";
export { DeviceArray } from "./runtime/device-array.ts";
export { array, HostTensor, hostTensor } from "./runtime/host-tensor.ts";
export type { Leak } from "./runtime/leaks.ts";
export { isTracing } from "./trace/builder.ts";
export { type Operand, Tracer } from "./trace/tracer.ts";
export {
  flatten,
  type MapTree,
  type PathLeaf,
  type Tree,
  type TreeDef,
  treeLeaves,
  treeMap,
  unflatten,
} from "./trace/tree.ts";
export {
  type CustomVjp,
  customVjp,
  grad,
  hvp,
  jvp,
  type Traced,
  type ValueAndGrad,
  valueAndGrad,
  vjp,
  type VjpResult,
  type VjpTable,
  vjpTable,
} from "./vjp/index.ts";
