/** What an optimiser is: two pure functions on trees of parameters, and the state that passes between them. */
import { DTypeError, ShapeError, TreeError } from "../errors.ts";
import { type DType, formatType, isFloat } from "../ir/tensor-type.ts";
import { zerosLike } from "../ops/creation.ts";
import { add } from "../ops/elementwise.ts";
import { astype } from "../ops/lift.ts";
import { eagerly, type Tensor } from "../random/eager.ts";
import { literalTracer } from "../trace/builder.ts";
import { Tracer } from "../trace/tracer.ts";
import { treeMap } from "../trace/tree.ts";
import type { Schedule } from "./schedule.ts";

/** The kind of tensor at the leaves of a tree of parameters. */
export type LeafOf<P> = P extends Tensor
  ? P
  : P extends readonly (infer Item)[]
    ? LeafOf<Item>
    : P extends object
      ? LeafOf<P[keyof P]>
      : never;

/** The state between updates: a tree like any other, to be passed through jit, donated and saved. */
export interface OptimizerState<P> {
  /** int32: updates made so far. */
  readonly step: LeafOf<P>;
  /** Trees shaped like the parameters, of their dtypes, by name. */
  readonly slots: { readonly [name: string]: P };
}

export interface Updated<P> {
  readonly params: P;
  readonly state: OptimizerState<P>;
}

/** Both functions work inside a trace on tracers, and outside one, slowly, on host tensors. */
export interface Optimizer {
  /** The state before the first update. Throws DTypeError if a parameter is not a tensor of floats. */
  init<P>(params: P): OptimizerState<P>;
  /**
   * One update. Throws TreeError if the trees differ in structure, ShapeError if a gradient does not fit its parameter,
   * and DTypeError if either is not a tensor; each names the place.
   */
  update<P>(grads: P, state: OptimizerState<P>, params: P): Updated<P>;
}

/** A tree of tracers whose structure is the business of `treeMap`. */
export type Leaves = unknown;

/** The rule of one optimiser: how slots and parameters change, given what is common to all. */
export interface Rule {
  readonly slots: readonly string[];
  readonly schedule: Schedule;
  apply(inputs: {
    readonly grads: Leaves;
    readonly params: Leaves;
    readonly slot: (name: string) => Leaves;
    /** The learning rate in a dtype. */
    readonly rate: (dtype: DType) => Tracer;
    /** The number of this update, from 1, in a dtype. */
    readonly count: (dtype: DType) => Tracer;
  }): { readonly params: Leaves; readonly slots: { readonly [name: string]: Leaves } };
}

/** Makes an optimiser of a rule: counts steps, evaluates the schedule once per dtype, and works eagerly too. */
export function optimizer(rule: Rule): Optimizer {
  const start = (params: Leaves): Leaves => ({
    step: literalTracer("int32", 0),
    slots: Object.fromEntries(rule.slots.map((name) => [name, treeMap(zeroSlot, params)])),
  });
  const step = (grads: Leaves, state: OptimizerState<Leaves>, params: Leaves): Leaves => {
    // Inside a trace, and within eagerly, the leaves are tracers.
    const before = state.step as Tracer;
    const after = add(before, 1);
    treeMap(requireGradient, params, grads);
    const updated = rule.apply({
      grads,
      params,
      slot: (name) => requireSlot(state, name),
      rate: onePerDType((dtype) => astype(rule.schedule(before, dtype), dtype)),
      count: onePerDType((dtype) => astype(after, dtype)),
    });
    return { params: updated.params, state: { step: after, slots: updated.slots } };
  };
  return {
    init: <P>(params: P) => eagerly(start)(params) as OptimizerState<P>,
    update: <P>(grads: P, state: OptimizerState<P>, params: P) =>
      eagerly(step)(grads, state as OptimizerState<Leaves>, params) as Updated<P>,
  };
}

function zeroSlot(param: Tracer, path: string): Tracer {
  requireTensor(param, "parameter", path);
  if (!isFloat(param.dtype)) {
    throw new DTypeError(`optimizer: parameter '${path}' is ${formatType(param.type)}, not a float`);
  }
  return zerosLike(param);
}

/** Throws DTypeError, naming the place, unless a leaf is what the types say. */
function requireTensor(leaf: unknown, what: string, path: string): void {
  if (leaf instanceof Tracer) return;
  const found = typeof leaf === "object" ? `an instance of ${leaf?.constructor.name ?? "null"}` : `a ${typeof leaf}`;
  throw new DTypeError(`optimizer: ${what} '${path}' is ${found}, not a tensor; make it one with array(...)`);
}

function requireGradient(param: Tracer, path: string, [grad]: readonly Tracer[]): void {
  requireTensor(param, "parameter", path);
  if (grad !== undefined) requireTensor(grad, "the gradient of", path);
  if (grad === undefined || formatType(grad.type) !== formatType(param.type)) {
    const found = grad === undefined ? "absent" : formatType(grad.type);
    throw new ShapeError(`optimizer: the gradient of '${path}' is ${found}, the parameter ${formatType(param.type)}`);
  }
}

function requireSlot(state: OptimizerState<Leaves>, name: string): Leaves {
  if (Object.hasOwn(state.slots, name)) return state.slots[name];
  const found = Object.keys(state.slots).join(", ");
  throw new TreeError(`optimizer: the state has no slot '${name}' but [${found}]; it belongs to another optimiser`);
}

/** Calls `f` once per dtype. */
export function onePerDType(f: (dtype: DType) => Tracer): (dtype: DType) => Tracer {
  const known = new Map<DType, Tracer>();
  return (dtype) => {
    const value = known.get(dtype) ?? f(dtype);
    known.set(dtype, value);
    return value;
  };
}

/** `treeMap` on trees of tracers with two to four trees of one structure; missing partners are a TreeError. */
export function mapLeaves(
  f: (leaf: Tracer, other: Tracer, third: Tracer, path: string) => Tracer,
  tree: Leaves,
  other: Leaves,
  third: Leaves = other,
): Leaves {
  const combine = (leaf: Tracer, path: string, [a, b]: readonly Tracer[]): Tracer => {
    if (a === undefined || b === undefined) throw new TreeError(`optimizer: nothing corresponds to '${path}'`);
    return f(leaf, a, b, path);
  };
  return treeMap(combine, tree, other, third);
}
