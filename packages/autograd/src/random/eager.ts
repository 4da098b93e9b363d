/** Evaluation at once: a function written for a trace, applied to host tensors outside any trace. Slow and simple. */
import { TraceError } from "../errors.ts";
import { isConcreteArray } from "../ir/concrete-array.ts";
import type { Graph } from "../ir/graph.ts";
import { lift } from "../ops/lift.ts";
import { installMethods } from "../ops/methods.ts";
import { evaluateGraph } from "../reference/interpret.ts";
import { HostTensor } from "../runtime/host-tensor.ts";
import { isTracing, traceOpen, varOf } from "../trace/builder.ts";
import { type Operand, Tracer } from "../trace/tracer.ts";
import { flatten, type MapTree, type TreeDef, unflatten } from "../trace/tree.ts";

/** A tensor with data, outside a trace, or without, inside one. */
export type Tensor = HostTensor | Tracer;

/** The function that `eagerly` returns: trees of either kind of tensor in, trees of the same kind out. */
export type Eager<A extends readonly unknown[], R> = (
  ...args: { [I in keyof A]: MapTree<A[I], Tracer, Tensor> }
) => MapTree<R, Tracer, Tensor>;

/**
 * Makes a function of trees of tracers usable outside a trace too: inside one it is simply called; outside, the host
 * tensors among its arguments are traced, the graph is evaluated by the reference interpreter, and the result is the
 * same tree of host tensors. Leaves that are no tensors (shapes, options) are passed on as they are.
 * Throws TraceError for a tracer outside its trace, or for an array that is not on the host.
 */
export function eagerly<A extends readonly unknown[], R>(f: (...args: A) => R): Eager<A, R> {
  // Both casts restate what the tree keeps: args differ from A, and the result from R, in the kind of tensor only.
  return (...args) => {
    if (isTracing()) return f(...(args as unknown as A)) as MapTree<R, Tracer, Tensor>;
    return evaluate(f, args) as MapTree<R, Tracer, Tensor>;
  };
}

function evaluate<A extends readonly unknown[]>(f: (...args: A) => unknown, args: readonly unknown[]): unknown {
  const { leaves, def } = flatten(args);
  const tensors = leaves.filter(({ leaf }) => isTensor(leaf)).map(({ leaf, path }) => onHost(leaf, `argument ${path}`));
  installMethods();
  let result: TreeDef = { kind: "leaf" };
  const { graph, captured } = traceOpen(
    tensors.map(({ type }) => type),
    (inputs) => {
      let next = 0;
      const traced = leaves.map(({ leaf }) => (isTensor(leaf) ? inputs[next++] : leaf));
      const flat = flatten(f(...(unflatten(def, traced) as A)));
      result = flat.def;
      // Leaves of other kinds are refused by lift, by name.
      return flat.leaves.map(({ leaf }) => lift("result", leaf as Operand));
    },
  );
  const inputs = [...graph.inputs, ...captured.map(([, tracer]) => varOf(tracer))];
  const data = [...tensors, ...captured.map(([array]) => onHost(array, "a captured array"))];
  return unflatten(result, run({ ...graph, inputs }, data));
}

function isTensor(leaf: unknown): boolean {
  return leaf instanceof Tracer || isConcreteArray(leaf);
}

function onHost(leaf: unknown, what: string): HostTensor {
  if (leaf instanceof HostTensor) return leaf;
  const remedy =
    leaf instanceof Tracer ? "it belongs to a trace that has ended" : "read it to the host first, or use jit";
  throw new TraceError(`${what}: ${String(leaf)} cannot be computed with outside a traced function; ${remedy}`);
}

function run(graph: Graph, inputs: readonly HostTensor[]): readonly HostTensor[] {
  const outputs = evaluateGraph(
    graph,
    inputs.map(({ data }) => data),
  );
  return graph.outputs.map(({ type }, i) => {
    const data = outputs[i];
    if (data === undefined) throw new TraceError(`the interpreter gave no result ${i}`);
    return new HostTensor(type, data.slice());
  });
}
