/** From a function of trees to a graph: the one place where user functions are traced from the outside. */
import { DTypeError, TraceError } from "../errors.ts";
import { type ConcreteArray, isConcreteArray } from "../ir/concrete-array.ts";
import type { Graph } from "../ir/graph.ts";
import type { HostArray, TensorType } from "../ir/tensor-type.ts";
import { lift } from "../ops/lift.ts";
import { installMethods } from "../ops/methods.ts";
import type { DeviceArray } from "../runtime/device-array.ts";
import { array, HostTensor } from "../runtime/host-tensor.ts";
import { isTracing, traceOpen, varOf } from "../trace/builder.ts";
import { type Operand, Tracer } from "../trace/tracer.ts";
import { flatten, type MapTree, type TreeDef, unflatten } from "../trace/tree.ts";

/** What a leaf of an argument may be. Numbers become float32 scalars, booleans bool scalars, typed arrays vectors. */
export type ArrayLike = HostTensor | DeviceArray | HostArray | number | boolean;

/** Arguments as the caller gives them: the same trees with data in the place of tracers. */
export type Concrete<T> = MapTree<T, Tracer, ArrayLike>;

/** A leaf ready to be run: its data, and where it stands among the arguments. */
export interface ConcreteLeaf {
  readonly value: HostTensor | DeviceArray;
  /** E.g. `argument 0 ('weights.0')`. */
  readonly name: string;
  /** Index of the argument. */
  readonly argument: number;
}

export interface FlatArguments {
  readonly leaves: readonly ConcreteLeaf[];
  readonly def: TreeDef;
}

/** Takes arguments apart. Throws DTypeError, naming the place, for a leaf that is not data. */
export function flattenArguments(args: readonly unknown[]): FlatArguments {
  const { leaves, def } = flatten(args);
  return {
    def,
    leaves: leaves.map(({ path, leaf }) => {
      const [argument = "0", ...rest] = path.split(".");
      const name = `argument ${argument}${rest.length === 0 ? "" : ` ('${rest.join(".")}')`}`;
      return { value: toConcrete(leaf, name), name, argument: Number(argument) };
    }),
  };
}

function toConcrete(leaf: unknown, name: string): HostTensor | DeviceArray {
  if (leaf instanceof HostTensor) return leaf;
  // Arrays of another copy of this package are refused by the device, by identity of the backend.
  if (isConcreteArray(leaf)) return leaf as DeviceArray;
  if (typeof leaf === "number" || typeof leaf === "boolean") return array(leaf);
  if (ArrayBuffer.isView(leaf) && !(leaf instanceof DataView)) return array(leaf as HostArray);
  if (leaf instanceof Tracer) {
    throw new TraceError(`${name} is a traced tensor; a jitted function called while tracing must be called directly`);
  }
  throw new DTypeError(
    `${name} is ${describe(leaf)}; arguments are trees of arrays and numbers, so let the function close over anything else`,
  );
}

function describe(leaf: unknown): string {
  return typeof leaf === "object" ? `an instance of ${leaf?.constructor.name ?? "null"}` : `a ${typeof leaf}`;
}

export interface TracedFunction {
  /** Inputs are the leaves of the arguments in canonical order, then the captured arrays. */
  readonly graph: Graph;
  readonly outputDef: TreeDef;
  /** Arrays that the function closed over. */
  readonly captured: readonly ConcreteArray[];
}

/** Traces f for arguments of the given structure and types. Throws TraceError when called inside another trace. */
export function traceFunction(
  f: (...args: never[]) => unknown,
  def: TreeDef,
  types: readonly TensorType[],
): TracedFunction {
  if (isTracing()) throw new TraceError("jit: a jitted function cannot be called while another is being traced");
  installMethods();
  let outputDef: TreeDef = { kind: "leaf" };
  const { graph, captured } = traceOpen(types, (leaves) => {
    const args = unflatten(def, leaves) as never[];
    const output = flatten(f(...args));
    outputDef = output.def;
    return output.leaves.map(({ leaf }) => lift("the result of a traced function", leaf as Operand));
  });
  return {
    graph: { ...graph, inputs: [...graph.inputs, ...captured.map(([, tracer]) => varOf(tracer))] },
    outputDef,
    captured: captured.map(([value]) => value),
  };
}

/** The graph of f at example arguments: for reading, printing and testing. Captured arrays are its last inputs. */
export function makeGraph<A extends readonly unknown[]>(f: (...args: A) => unknown, ...examples: Concrete<A>): Graph {
  const { leaves, def } = flattenArguments(examples);
  const types = leaves.map(({ value }) => value.type);
  return traceFunction(f, def, types).graph;
}
