/** Method chaining: every operation whose first operand is a tensor, installed on Tracer under the same name. */
import { Tracer } from "../trace/tracer.ts";
import * as contraction from "./contraction.ts";
import * as creation from "./creation.ts";
import * as elementwise from "./elementwise.ts";
import * as indexing from "./indexing.ts";
import * as lifting from "./lift.ts";
import * as movement from "./movement.ts";
import * as recurrence from "./recurrence.ts";
import * as reduction from "./reduction.ts";

const operations = {
  neg: elementwise.neg,
  abs: elementwise.abs,
  sign: elementwise.sign,
  floor: elementwise.floor,
  exp: elementwise.exp,
  log: elementwise.log,
  log1p: elementwise.log1p,
  expm1: elementwise.expm1,
  sin: elementwise.sin,
  cos: elementwise.cos,
  tanh: elementwise.tanh,
  logistic: elementwise.logistic,
  sqrt: elementwise.sqrt,
  rsqrt: elementwise.rsqrt,
  square: elementwise.square,
  reciprocal: elementwise.reciprocal,
  relu: elementwise.relu,
  clip: elementwise.clip,
  isFinite: elementwise.isFinite,
  not: elementwise.not,
  add: elementwise.add,
  sub: elementwise.sub,
  mul: elementwise.mul,
  div: elementwise.div,
  maximum: elementwise.maximum,
  minimum: elementwise.minimum,
  pow: elementwise.pow,
  and: elementwise.and,
  or: elementwise.or,
  equal: elementwise.equal,
  notEqual: elementwise.notEqual,
  less: elementwise.less,
  lessEqual: elementwise.lessEqual,
  greater: elementwise.greater,
  greaterEqual: elementwise.greaterEqual,
  astype: lifting.astype,
  broadcastTo: lifting.broadcastTo,
  sum: reduction.sum,
  mean: reduction.mean,
  variance: reduction.variance,
  max: reduction.max,
  min: reduction.min,
  argmax: reduction.argmax,
  all: reduction.all,
  any: reduction.any,
  dotGeneral: contraction.dotGeneral,
  matmul: contraction.matmul,
  vdot: contraction.vdot,
  linearRecurrence: recurrence.linearRecurrence,
  cumsum: recurrence.cumsum,
  reshape: movement.reshape,
  transpose: movement.transpose,
  expandDims: movement.expandDims,
  squeeze: movement.squeeze,
  slice: movement.slice,
  sliceAxis: movement.sliceAxis,
  index: movement.index,
  split: movement.split,
  pad: movement.pad,
  shift: movement.shift,
  take: indexing.take,
  scatterAdd: indexing.scatterAdd,
  oneHot: indexing.oneHot,
  pick: indexing.pick,
  zerosLike: creation.zerosLike,
  onesLike: creation.onesLike,
} as const;

type Operations = typeof operations;

/** The operations as methods: the first operand is the tensor itself. */
export type TracerMethods = {
  [K in keyof Operations]: Operations[K] extends (first: never, ...rest: infer A) => infer R
    ? (...rest: A) => R
    : never;
};

declare module "../trace/tracer.ts" {
  // The mapped type above gives Tracer its methods; an interface is the only thing that can be merged into a class.
  // eslint-disable-next-line @typescript-eslint/no-empty-object-type
  interface Tracer extends TracerMethods {}
}

let installed = false;

/**
 * Gives Tracer its methods. Whatever opens an outermost trace calls this first: a side effect of importing a module would
 * be dropped by bundlers, for the package declares that it has none.
 */
export function installMethods(): void {
  if (installed) return;
  installed = true;
  for (const [name, operation] of Object.entries(operations)) {
    Object.defineProperty(Tracer.prototype, name, {
      value(this: Tracer, ...rest: unknown[]): unknown {
        return (operation as (...args: unknown[]) => unknown)(this, ...rest);
      },
      configurable: true,
      writable: true,
    });
  }
}
