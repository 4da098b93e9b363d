/** From a function of trees to a graph: the one place where user functions are traced from the outside. */
import { DTypeError, TraceError } from "../errors.ts";
import type { Graph } from "../ir/graph.ts";
import { formatType, type TensorType } from "../ir/tensor-type.ts";
import { lift } from "../ops/lift.ts";
import { installMethods } from "../ops/methods.ts";
import { DeviceArray } from "../runtime/device-array.ts";
import { HostTensor } from "../runtime/host-tensor.ts";
import { isTracing, traceOpen, varOf } from "../trace/builder.ts";
import type { Operand } from "../trace/tracer.ts";
import { flatten, type TreeDef, unflatten } from "../trace/tree.ts";
import { type Concrete, flattenArguments, foreignArray, type Value } from "./arguments.ts";

export interface TracedFunction {
  /** Inputs are the leaves of the arguments in canonical order, then the captured arrays. */
  readonly graph: Graph;
  readonly outputDef: TreeDef;
  /** Arrays that the function closed over. */
  readonly captured: readonly Value[];
}

/**
 * Traces f for arguments of the given structure and types. Throws TraceError when called inside another trace or if f
 * is not synchronous, and DTypeError if it closed over an array of another copy of this package.
 */
export function traceFunction(
  f: (...args: never[]) => unknown,
  def: TreeDef,
  types: readonly TensorType[],
): TracedFunction {
  if (isTracing()) {
    throw new TraceError("makeGraph cannot be called inside a traced function; call the function itself there");
  }
  installMethods();
  let outputDef: TreeDef = { kind: "leaf" };
  const { graph, captured } = traceOpen(types, (leaves) => {
    const args = unflatten(def, leaves) as never[];
    const result = f(...args);
    requireSynchronous(result);
    const output = flatten(result);
    outputDef = output.def;
    return output.leaves.map(({ leaf }) => lift("the result of a traced function", leaf as Operand));
  });
  return {
    graph: { ...graph, inputs: [...graph.inputs, ...captured.map(([, tracer]) => varOf(tracer))] },
    outputDef,
    captured: captured.map(([value]) => {
      if (value instanceof HostTensor || value instanceof DeviceArray) return value;
      throw new DTypeError(foreignArray(`the ${formatType(value.type)} array that the function closed over`));
    }),
  };
}

/** Throws TraceError for a promise, or anything else with a `then`. */
function requireSynchronous(result: unknown): void {
  if (typeof result !== "object" || result === null || !("then" in result) || typeof result.then !== "function") return;
  // What an async function throws after this is a consequence, and would end the process.
  Promise.resolve(result).catch(() => undefined);
  throw new TraceError(
    "the result of a traced function: expected a traced tensor, got a Promise; traced functions must be synchronous",
  );
}

/** The graph of f at example arguments: for reading, printing and testing. Captured arrays are its last inputs. */
export function makeGraph<A extends readonly unknown[]>(f: (...args: A) => unknown, ...examples: Concrete<A>): Graph {
  const { values, def } = flattenArguments(examples);
  const types = values.map(({ type }) => type);
  return traceFunction(f, def, types).graph;
}
