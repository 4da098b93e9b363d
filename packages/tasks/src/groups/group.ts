/** Finite groups as tables of products: elements are the numbers 0 .. order - 1, and 0 is the identity. */

/** A finite group. */
export interface Group {
  /** E.g. `A5` or `Z2xZ3`; `parseGroup` reads it. */
  readonly name: string;
  /** Number of elements. */
  readonly order: number;
  /** The product a b: the permutation that applies b first and then a. Both must be elements. */
  compose(a: number, b: number): number;
  /** The element with which a gives the identity. */
  inverse(a: number): number;
  /** Row-major [order, order]: entry a * order + b is a b. */
  readonly table: Int32Array;
}

/** A permutation of 0 .. n - 1: i goes to entry i. */
export type Permutation = readonly number[];

/**
 * The group of a set of permutations closed under composition, numbered in the given order, the identity first. Throws
 * RangeError if a product is missing.
 */
export function permutationGroup(name: string, elements: readonly Permutation[]): Group {
  const order = elements.length;
  const base = baseLength(elements);
  const numbers = new Map(elements.map((element, i) => [element.slice(0, base).join(","), i]));
  const table = new Int32Array(order * order);
  elements.forEach((a, i) => {
    elements.forEach((b, j) => {
      const images = b.slice(0, base).map((point) => a[point]);
      const product = numbers.get(images.join(","));
      if (product === undefined) throw new RangeError(`group ${name}: elements ${i} and ${j} lead out of it`);
      table[i * order + j] = product;
    });
  });
  return tableGroup(name, order, table);
}

/** How many of the first points have to be followed to tell the elements apart; 1 for a cyclic group. */
function baseLength(elements: readonly Permutation[]): number {
  for (let length = 1; ; length++) {
    const seen = new Set(elements.map((element) => element.slice(0, length).join(",")));
    if (seen.size === elements.length) return length;
    if (length > (elements[0]?.length ?? 0)) throw new RangeError("group: a permutation is there twice");
  }
}

/** The direct product: the pair (a, b) has the number a * |B| + b. */
export function directProduct(left: Group, right: Group): Group {
  const order = left.order * right.order;
  const table = new Int32Array(order * order);
  for (let x = 0; x < order; x++) {
    const [a, b] = [Math.floor(x / right.order), x % right.order];
    for (let y = 0; y < order; y++) {
      const [c, d] = [Math.floor(y / right.order), y % right.order];
      table[x * order + y] = left.compose(a, c) * right.order + right.compose(b, d);
    }
  }
  return tableGroup(`${left.name}x${right.name}`, order, table);
}

function tableGroup(name: string, order: number, table: Int32Array): Group {
  const at = (a: number, b: number): number => {
    const product = a < order && b < order ? table[a * order + b] : undefined;
    if (product === undefined) throw new RangeError(`group ${name}: ${a} and ${b} must be elements 0 .. ${order - 1}`);
    return product;
  };
  const inverses = new Int32Array(order);
  for (let a = 0; a < order; a++) inverses[a] = table.subarray(a * order, (a + 1) * order).indexOf(0);
  return Object.freeze({
    name,
    order,
    table,
    compose: at,
    inverse(a: number): number {
      const inverse = inverses[a];
      if (inverse === undefined) throw new RangeError(`group ${name}: ${a} must be an element 0 .. ${order - 1}`);
      return inverse;
    },
  });
}
