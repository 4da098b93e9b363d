/** Trees: nested plain objects and arrays with leaves, taken apart and put together in one canonical order. */
import { TreeError } from "../errors.ts";

/** A nest of plain objects and arrays whose leaves are `L`. */
export type Tree<L> = L | readonly Tree<L>[] | { readonly [key: string]: Tree<L> };

/** The same nest with other leaves: maps `{ w: A, b: [A, A] }` to `{ w: B, b: [B, B] }`. */
export type MapTree<T, From, To> = T extends From
  ? To
  : T extends readonly unknown[]
    ? { [I in keyof T]: MapTree<T[I], From, To> }
    : T extends object
      ? { [K in keyof T]: MapTree<T[K], From, To> }
      : T;

/** The structure of a tree without its leaves. */
export type TreeDef =
  | { readonly kind: "leaf" }
  | { readonly kind: "absent"; readonly value: null | undefined }
  | { readonly kind: "array"; readonly items: readonly TreeDef[] }
  | { readonly kind: "object"; readonly entries: readonly (readonly [string, TreeDef])[] };

/** One leaf with the keys that lead to it, e.g. `blocks.0.weight`. */
export interface PathLeaf<L> {
  readonly path: string;
  readonly leaf: L;
}

const LEAF: TreeDef = { kind: "leaf" };

function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/**
 * Leaves in canonical order (array order; object keys sorted) and the structure. Everything that is not a plain
 * object, an array, null or undefined is a leaf. Throws TreeError on a cycle.
 */
export function flatten(tree: unknown): { readonly leaves: readonly PathLeaf<unknown>[]; readonly def: TreeDef } {
  const leaves: PathLeaf<unknown>[] = [];
  const open = new Set<object>();
  const visit = (node: unknown, path: string): TreeDef => {
    if (node === null || node === undefined) return { kind: "absent", value: node };
    const isArray = Array.isArray(node);
    if (!isArray && !isPlainObject(node)) {
      leaves.push({ path, leaf: node });
      return LEAF;
    }
    if (open.has(node)) throw new TreeError(`tree: '${path}' contains itself`);
    open.add(node);
    const under = (key: string | number): string => (path === "" ? String(key) : `${path}.${key}`);
    const def: TreeDef = isArray
      ? { kind: "array", items: node.map((item, i) => visit(item, under(i))) }
      : {
          kind: "object",
          entries: Object.keys(node)
            .sort()
            .map((key) => [key, visit(node[key], under(key))] as const),
        };
    open.delete(node);
    return def;
  };
  const def = visit(tree, "");
  return { leaves, def };
}

/** The inverse of `flatten`. The caller states the type of the result, which the structure cannot carry. */
export function unflatten(def: TreeDef, leaves: readonly unknown[]): unknown {
  let next = 0;
  const build = (node: TreeDef): unknown => {
    switch (node.kind) {
      case "leaf":
        return leaves[next++];
      case "absent":
        return node.value;
      case "array":
        return node.items.map(build);
      case "object":
        return Object.fromEntries(node.entries.map(([key, child]) => [key, build(child)]));
      default:
        return node satisfies never;
    }
  };
  const tree = build(def);
  if (next !== leaves.length) throw new TreeError(`tree: the structure has ${next} leaves, got ${leaves.length}`);
  return tree;
}

/** A text that is equal exactly for equal structures. */
export function formatTreeDef(def: TreeDef): string {
  switch (def.kind) {
    case "leaf":
      return "*";
    case "absent":
      return String(def.value);
    case "array":
      return `[${def.items.map(formatTreeDef).join(",")}]`;
    case "object":
      return `{${def.entries.map(([key, child]) => `${JSON.stringify(key)}:${formatTreeDef(child)}`).join(",")}}`;
    default:
      return def satisfies never;
  }
}

/** The leaves with their paths; `L` is what the caller knows the leaves to be. */
export function treeLeaves<L>(tree: Tree<L>): readonly PathLeaf<L>[] {
  return flatten(tree).leaves as readonly PathLeaf<L>[];
}

/**
 * Applies `f` to corresponding leaves of trees of one structure; the result has the structure of the first.
 * Throws TreeError, naming the first place where they differ and what is there in each.
 */
export function treeMap<T, L, R>(
  f: (leaf: L, path: string, others: readonly L[]) => R,
  tree: T,
  ...rest: readonly T[]
): MapTree<T, L, R> {
  const { leaves, def } = flatten(tree);
  const others = rest.map((other, i) => {
    const flat = flatten(other);
    const difference = firstDifference(def, flat.def, "");
    if (difference !== null) throw new TreeError(`treeMap: tree ${i + 1} differs from tree 0 at ${difference}`);
    return flat.leaves;
  });
  const mapped = leaves.map(({ leaf, path }, i) =>
    f(
      leaf as L,
      path,
      others.map((list) => list[i]?.leaf as L),
    ),
  );
  return unflatten(def, mapped) as MapTree<T, L, R>;
}

/** Where two structures differ first and how, e.g. `'a.b': it has nothing, tree 0 a leaf`; null if they are equal. */
function firstDifference(expected: TreeDef | undefined, found: TreeDef | undefined, path: string): string | null {
  const under = (key: string | number): string => (path === "" ? String(key) : `${path}.${key}`);
  if (expected?.kind === "object" && found?.kind === "object") {
    const [a, b] = [new Map(expected.entries), new Map(found.entries)];
    return firstOf([...new Set([...a.keys(), ...b.keys()])].sort(), (key) =>
      firstDifference(a.get(key), b.get(key), under(key)),
    );
  }
  if (expected?.kind === "array" && found?.kind === "array") {
    const length = Math.max(expected.items.length, found.items.length);
    return firstOf([...Array(length).keys()], (i) => firstDifference(expected.items[i], found.items[i], under(i)));
  }
  const [a, b] = [describeDef(expected), describeDef(found)];
  return a === b ? null : `${path === "" ? "the root" : `'${path}'`}: it has ${b}, tree 0 ${a}`;
}

function firstOf<K>(keys: readonly K[], difference: (key: K) => string | null): string | null {
  for (const key of keys) {
    const found = difference(key);
    if (found !== null) return found;
  }
  return null;
}

function describeDef(def: TreeDef | undefined): string {
  switch (def?.kind) {
    case undefined:
      return "nothing";
    case "leaf":
      return "a leaf";
    case "absent":
      return String(def.value);
    case "array":
      return `an array of ${def.items.length}`;
    case "object":
      return `an object of [${def.entries.map(([key]) => key).join(", ")}]`;
    default:
      return def satisfies never;
  }
}
