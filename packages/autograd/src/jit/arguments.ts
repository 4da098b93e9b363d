/** Arguments of a jitted function: what their leaves may be, and how they are taken apart at every call. */
import { DTypeError, TraceError } from "../errors.ts";
import { isConcreteArray } from "../ir/concrete-array.ts";
import { type HostArray, sameType, type TensorType } from "../ir/tensor-type.ts";
import { DeviceArray } from "../runtime/device-array.ts";
import { array, HostTensor } from "../runtime/host-tensor.ts";
import { Tracer } from "../trace/tracer.ts";
import { flatten, type MapTree, type TreeDef } from "../trace/tree.ts";

/** What a leaf of an argument may be. Numbers become float32 scalars, booleans bool scalars, typed arrays vectors. */
export type ArrayLike = HostTensor | DeviceArray | HostArray | number | boolean;

/** Arguments as the caller gives them: the same trees with data in the place of tracers. */
export type Concrete<T> = MapTree<T, Tracer, ArrayLike>;

const NUMBER: TensorType = { dtype: "float32", shape: [] };

/** Data ready to be run. */
export type Value = HostTensor | DeviceArray;

export interface FlatArguments {
  readonly values: readonly Value[];
  /** The name of the i-th leaf, e.g. `argument 0 ('weights.0')`. */
  readonly nameOf: (i: number) => string;
  /** For every leaf the index of the argument that it is part of. */
  readonly owners: readonly number[];
  readonly def: TreeDef;
}

/** Takes arguments apart. Throws DTypeError, naming the place, for a leaf that is not data. */
export function flattenArguments(args: readonly unknown[]): FlatArguments {
  const { leaves, def } = flatten(args);
  return {
    def,
    values: leaves.map(({ path, leaf }) => toValue(leaf) ?? refuse(leaf, nameOf(path))),
    nameOf: (i) => nameOf(leaves[i]?.path ?? ""),
    owners: leaves.map(({ path }) => Number.parseInt(path, 10)),
  };
}

function nameOf(path: string): string {
  const [argument = "0", ...rest] = path.split(".");
  return `argument ${argument}${rest.length === 0 ? "" : ` ('${rest.join(".")}')`}`;
}

/**
 * The leaves of arguments that have exactly this structure and these types, else null: `flattenArguments` for a program
 * that exists, without the names and keys that only a new one needs.
 */
export function matchArguments(
  args: readonly unknown[],
  def: TreeDef,
  types: readonly TensorType[],
): readonly Value[] | null {
  const values: Value[] = [];
  return matches(args, def, types, values) ? values : null;
}

function matches(node: unknown, def: TreeDef, types: readonly TensorType[], values: Value[]): boolean {
  switch (def.kind) {
    case "leaf": {
      const value = toValue(node);
      const type = types[values.length];
      if (value === null || type === undefined) return false;
      values.push(value);
      return value.type === type || sameType(value.type, type);
    }
    case "absent":
      return node === def.value;
    case "array": {
      if (!Array.isArray(node) || node.length !== def.items.length) return false;
      for (let i = 0; i < def.items.length; i++) {
        if (!matches(node[i], def.items[i] as TreeDef, types, values)) return false;
      }
      return true;
    }
    case "object": {
      if (typeof node !== "object" || node === null) return false;
      const prototype: unknown = Object.getPrototypeOf(node);
      if (prototype !== Object.prototype && prototype !== null) return false;
      if (Object.keys(node).length !== def.entries.length) return false;
      for (const [key, child] of def.entries) {
        if (!Object.hasOwn(node, key)) return false;
        if (!matches((node as Readonly<Record<string, unknown>>)[key], child, types, values)) return false;
      }
      return true;
    }
    default:
      return def satisfies never;
  }
}

/** A leaf as data; null if it is none. */
function toValue(leaf: unknown): Value | null {
  if (leaf instanceof DeviceArray || leaf instanceof HostTensor) return leaf;
  if (typeof leaf === "number") return new HostTensor(NUMBER, Float32Array.of(leaf));
  if (typeof leaf === "boolean") return array(leaf);
  if (ArrayBuffer.isView(leaf) && !(leaf instanceof DataView)) return array(leaf as HostArray);
  return null;
}

function refuse(leaf: unknown, name: string): never {
  if (leaf instanceof Tracer) {
    throw new TraceError(
      `${name} is a traced tensor, which has no data; inside a traced function call the plain function, not the jitted one`,
    );
  }
  throw new DTypeError(
    isConcreteArray(leaf)
      ? foreignArray(name)
      : `${name} is ${describe(leaf)}; arguments are trees of arrays and numbers, so let the function close over anything else`,
  );
}

/** What is wrong with an array whose class is not this module's. */
export function foreignArray(name: string): string {
  return `${name} is an array of another copy of @banach/autograd; load the package once`;
}

function describe(leaf: unknown): string {
  return typeof leaf === "object" ? `an instance of ${leaf?.constructor.name ?? "null"}` : `a ${typeof leaf}`;
}
