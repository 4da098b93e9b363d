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
 * Throws TreeError, naming both structures, if they differ.
 */
export function treeMap<T, L, R>(
  f: (leaf: L, path: string, others: readonly L[]) => R,
  tree: T,
  ...rest: readonly T[]
): MapTree<T, L, R> {
  const { leaves, def } = flatten(tree);
  const text = formatTreeDef(def);
  const others = rest.map((other) => {
    const flat = flatten(other);
    const otherText = formatTreeDef(flat.def);
    if (otherText !== text) throw new TreeError(`treeMap: structures differ, ${text} and ${otherText}`);
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
