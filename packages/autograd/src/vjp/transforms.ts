/** The differentiation transforms: they trace a function of trees and build its derivative in the open trace. */
import { DTypeError, NotDifferentiableError, ShapeError, TreeError } from "../errors.ts";
import { formatType, isFloat, sameType } from "../ir/tensor-type.ts";
import { zerosLike } from "../ops/creation.ts";
import { lift } from "../ops/lift.ts";
import { closeOver, emit, traceOpen } from "../trace/builder.ts";
import type { Operand, Tracer } from "../trace/tracer.ts";
import { flatten, formatTreeDef, type MapTree, type TreeDef, unflatten } from "../trace/tree.ts";
import { type Sweep, sweep } from "./sweep.ts";
import { vjpTable } from "./table.ts";

/** A tree of operands as the traced function receives it: every leaf a Tracer. */
export type Traced<T> = MapTree<T, Operand, Tracer>;

interface FlatTree {
  readonly tracers: readonly Tracer[];
  readonly paths: readonly string[];
  readonly def: TreeDef;
}

function flattenTensors(op: string, tree: unknown): FlatTree {
  const { leaves, def } = flatten(tree);
  return {
    tracers: leaves.map(({ leaf }) => lift(op, leaf as Operand)),
    paths: leaves.map(({ path }) => path),
    def,
  };
}

interface Linearized {
  readonly input: FlatTree;
  readonly outputDef: TreeDef;
  readonly sweep: Sweep;
}

/** Traces f at the argument and sets up its reverse pass. */
function linearize(op: string, f: (x: never) => unknown, x: unknown): Linearized {
  const input = flattenTensors(op, x);
  let outputDef: TreeDef = { kind: "leaf" };
  const { graph } = traceOpen(
    input.tracers.map((t) => t.type),
    (args) => {
      const output = flattenTensors(op, f(unflatten(input.def, args) as never));
      outputDef = output.def;
      return output.tracers;
    },
  );
  return { input, outputDef, sweep: sweep(graph, input.tracers, vjpTable) };
}

export interface VjpResult<X, Y> {
  readonly value: Y;
  /** From a cotangent of the value to the cotangent of x: v -> J^T v. Leaves that are not floats get zeros. */
  readonly pullback: (cotangent: MapTree<Y, Tracer, Operand>) => Traced<X>;
}

/** The value of f at x and its vector-Jacobian product. Must be called inside a traced function. */
export function vjp<X, Y>(f: (x: Traced<X>) => Y, x: X): VjpResult<X, Y> {
  const { input, outputDef, sweep: reverse } = linearize("vjp", f, x);
  return {
    value: unflatten(outputDef, reverse.outputs) as Y,
    pullback: (cotangent) => {
      const given = flattenTensors("vjp", cotangent);
      requireLike("vjp: the cotangent", given, reverse.outputs, outputDef);
      return unflatten(input.def, reverse.pullback(given.tracers)) as Traced<X>;
    },
  };
}

function requireLike(what: string, given: FlatTree, like: readonly Tracer[], def: TreeDef): void {
  if (formatTreeDef(given.def) !== formatTreeDef(def)) {
    throw new TreeError(`${what} has structure ${formatTreeDef(given.def)}, the value has ${formatTreeDef(def)}`);
  }
  given.tracers.forEach((g, i) => {
    const y = like[i];
    if (y !== undefined && !sameType(g.type, y.type)) {
      throw new ShapeError(
        `${what} ${given.paths[i] ?? ""} is ${formatType(g.type)}, the value is ${formatType(y.type)}`,
      );
    }
  });
}

/** What `grad` differentiates by: the first argument, a tree whose float leaves get gradients. */
export interface ValueAndGrad<X, V> {
  readonly value: V;
  readonly grad: Traced<X>;
}

/**
 * (x, ...rest) -> { value, grad } where grad is the gradient of the scalar f(x, ...rest) by x, with x's structure.
 * f may return a scalar, or { loss, ...aux }: then the loss is differentiated and the whole object is the value.
 * Throws ShapeError if the loss is not a scalar, DTypeError if it is not a float.
 */
export function valueAndGrad<X, R extends readonly unknown[], V>(
  f: (x: Traced<X>, ...rest: R) => V,
): (x: X, ...rest: R) => ValueAndGrad<X, V> {
  return (x, ...rest) => {
    const { input, outputDef, sweep: reverse } = linearize("grad", (traced: Traced<X>) => f(traced, ...rest), x);
    input.tracers.forEach((t, i) => {
      if (!isFloat(t.dtype)) {
        throw new DTypeError(
          `grad: leaf '${input.paths[i] ?? ""}' of the first argument is ${formatType(t.type)}; only floats have gradients, pass it in another argument`,
        );
      }
    });
    const value = unflatten(outputDef, reverse.outputs) as V;
    const position = lossPosition(outputDef);
    const loss = reverse.outputs[position];
    if (loss === undefined) throw new NotDifferentiableError("grad: the function returns no tensor");
    if (!isFloat(loss.dtype)) throw new DTypeError(`grad: the loss must be a float, got ${formatType(loss.type)}`);
    if (loss.rank !== 0)
      throw new ShapeError(`grad: the loss must be a scalar, got ${formatType(loss.type)}; sum or average it`);
    const cotangents = reverse.outputs.map((_, i) => (i === position ? lift("grad", 1, loss.dtype) : null));
    return { value, grad: unflatten(input.def, reverse.pullback(cotangents)) as Traced<X> };
  };
}

/** Which leaf of the result is the loss: the only one, or the one at the key `loss`. */
function lossPosition(def: TreeDef): number {
  if (def.kind === "leaf") return 0;
  if (def.kind === "object") {
    let position = 0;
    for (const [key, child] of def.entries) {
      if (key === "loss" && child.kind === "leaf") return position;
      position += countLeaves(child);
    }
  }
  throw new TreeError(`grad: the function must return a scalar or { loss, ... }, it returns ${formatTreeDef(def)}`);
}

function countLeaves(def: TreeDef): number {
  switch (def.kind) {
    case "leaf":
      return 1;
    case "absent":
      return 0;
    case "array":
      return def.items.reduce((n, item) => n + countLeaves(item), 0);
    case "object":
      return def.entries.reduce((n, [, child]) => n + countLeaves(child), 0);
    default:
      return def satisfies never;
  }
}

/** The gradient of a scalar function by its first argument. See valueAndGrad. */
export function grad<X, R extends readonly unknown[], V>(
  f: (x: Traced<X>, ...rest: R) => V,
): (x: X, ...rest: R) => Traced<X> {
  const both = valueAndGrad<X, R, V>(f);
  return (x, ...rest) => both(x, ...rest).grad;
}

/**
 * The value of f at x and its Jacobian-vector product J v. Built as the VJP of the VJP, which is linear in its cotangent:
 * no second set of rules.
 */
export function jvp<X, Y>(
  f: (x: Traced<X>) => Y,
  x: X,
  tangent: MapTree<X, Operand, Operand>,
): { readonly value: Y; readonly tangent: Y } {
  const { input, outputDef, sweep: reverse } = linearize("jvp", f, x);
  const given = flattenTensors("jvp", tangent);
  requireLike("jvp: the tangent", given, input.tracers, input.def);
  const dummies = reverse.outputs.map((y) => zerosLike(y));
  const transposed = traceOpen(
    dummies.map((t) => t.type),
    (cotangents) => reverse.pullback(cotangents),
  );
  const forward = sweep(transposed.graph, dummies, vjpTable);
  return {
    value: unflatten(outputDef, reverse.outputs) as Y,
    tangent: unflatten(outputDef, forward.pullback(given.tracers)) as Y,
  };
}

/** Hessian-vector product of a scalar function by reverse over reverse: the gradient of <grad f, v>. */
export function hvp<X>(f: (x: Traced<X>) => Tracer, x: X, v: MapTree<X, Operand, Operand>): Traced<X> {
  // Traced twice is traced once; the compiler does not reduce the nested mapped type.
  const gradient = grad<Traced<X>, [], Tracer>(f as unknown as (x: Traced<Traced<X>>) => Tracer);
  return vjp(gradient, x).pullback(v as never);
}

export interface CustomVjp<A extends readonly unknown[], Y, S> {
  /** Computes the result. */
  readonly primal: (...args: A) => Y;
  /** Computes the same result and what the backward pass needs; by default the arguments are saved. */
  readonly forward: (...args: A) => { readonly value: Y; readonly saved: S };
  /** From what was saved and the cotangent of the result to one cotangent per argument, shaped as the argument. */
  readonly backward: (saved: S, cotangent: Y) => { readonly [I in keyof A]: A[I] | null };
}

/**
 * A function with a derivative of its own: for implicit gradients, fused rules, better numerics. Arguments are trees of
 * tensors; a null cotangent is zero. Throws TreeError if one of the three functions uses a tensor of an enclosing
 * function: its cotangent would silently be lost, so it must be an argument.
 */
export function customVjp<A extends readonly unknown[], Y, S>(rule: CustomVjp<A, Y, S>): (...args: A) => Y {
  return (...args) => {
    const input = flattenTensors("customVjp", args);
    const types = input.tracers.map((t) => t.type);
    const restore = (leaves: readonly Tracer[]): A => unflatten(input.def, leaves) as A;
    let valueDef: TreeDef = { kind: "leaf" };
    let savedDef: TreeDef = { kind: "leaf" };
    const primal = traceOpen(types, (leaves) => {
      const value = flattenTensors("customVjp", rule.primal(...restore(leaves)));
      valueDef = value.def;
      return value.tracers;
    }).graph;
    const forward = traceOpen(types, (leaves) => {
      const { value, saved } = rule.forward(...restore(leaves));
      const flatSaved = flattenTensors("customVjp", saved);
      savedDef = flatSaved.def;
      return [...flattenTensors("customVjp", value).tracers, ...flatSaved.tracers];
    }).graph;
    const savedTypes = forward.outputs.slice(primal.outputs.length).map((atom) => atom.type);
    const backward = traceOpen([...savedTypes, ...primal.outputs.map((atom) => atom.type)], (leaves) => {
      const saved = unflatten(savedDef, leaves.slice(0, savedTypes.length)) as S;
      const cotangent = unflatten(valueDef, leaves.slice(savedTypes.length)) as Y;
      return cotangentLeaves(rule.backward(saved, cotangent), restore(input.tracers));
    }).graph;
    return unflatten(valueDef, callCustom(input.tracers, primal, forward, backward, savedTypes.length)) as Y;
  };
}

type TracedGraph = ReturnType<typeof traceOpen>["graph"];

function callCustom(
  args: readonly Tracer[],
  primal: TracedGraph,
  forward: TracedGraph,
  backward: TracedGraph,
  residuals: number,
): readonly Tracer[] {
  return emit("custom_vjp_call", args, {
    primal: requireClosed("primal", primal),
    forward: requireClosed("forward", forward),
    backward: requireClosed("backward", backward),
    residuals,
  });
}

function requireClosed(what: string, graph: TracedGraph): TracedGraph {
  const closed = closeOver(graph);
  if (closed.captures.length > 0) {
    throw new TreeError(
      `customVjp: ${what} uses ${closed.captures.length} value(s) of an enclosing function (${closed.captures.map((t) => formatType(t.type)).join(", ")}); pass them as arguments, so that their cotangents are defined`,
    );
  }
  return closed.graph;
}

/** One cotangent per leaf of the arguments; a null argument stands for zeros. */
function cotangentLeaves(cotangents: readonly unknown[], args: readonly unknown[]): readonly Tracer[] {
  return args.flatMap((arg, i) => {
    const like = flattenTensors("customVjp", arg);
    const given = cotangents[i];
    if (given === null || given === undefined) return like.tracers.map((t) => zerosLike(t));
    const flat = flattenTensors("customVjp", given);
    requireLike(`customVjp: the cotangent of argument ${i}`, flat, like.tracers, like.def);
    return flat.tracers;
  });
}
