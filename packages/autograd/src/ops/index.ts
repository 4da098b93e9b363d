/** Operations on traced tensors, as free functions; most are methods of Tracer too. */
export { dotGeneral, type DotGeneralOptions, matmul, vdot } from "./contraction.ts";
export { scan, type ScanOptions, stopGradient, whileLoop, type WhileOptions } from "./control.ts";
export { arange, constant, full, iota, ones, onesLike, zeros, zerosLike } from "./creation.ts";
export {
  abs,
  add,
  and,
  clip,
  cos,
  div,
  equal,
  exp,
  expm1,
  floor,
  greater,
  greaterEqual,
  isFinite,
  less,
  lessEqual,
  log,
  log1p,
  logistic,
  maximum,
  minimum,
  mul,
  neg,
  not,
  notEqual,
  or,
  pow,
  reciprocal,
  relu,
  rsqrt,
  sign,
  sin,
  sqrt,
  square,
  sub,
  tanh,
  where,
} from "./elementwise.ts";
export { oneHot, pick, scatterAdd, take } from "./indexing.ts";
export { astype, broadcastTo } from "./lift.ts";
export type { TracerMethods } from "./methods.ts";
export {
  concatenate,
  expandDims,
  index,
  pad,
  reshape,
  shift,
  slice,
  sliceAxis,
  type SliceRange,
  split,
  squeeze,
  stack,
  transpose,
} from "./movement.ts";
export { cumsum, linearRecurrence, type RecurrenceOptions } from "./recurrence.ts";
export { all, any, argmax, max, mean, min, type ReduceOptions, sum, variance } from "./reduction.ts";
