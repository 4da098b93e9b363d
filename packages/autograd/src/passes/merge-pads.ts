/**
 * Sums of padded values as one concatenation. The gradient of a value of which several slices are used is a sum of zeros
 * with something in them; each element is written once if the parts are laid side by side instead.
 */
import { type Atom, type Equation, type EquationOf, type Graph, literal, mapNestedGraphs, Var } from "../ir/graph.ts";
import { dimOf, type Shape, type TensorType } from "../ir/tensor-type.ts";
import { rebuild } from "./substitution.ts";

/** A run along the axis: a value, or null for zeros. */
interface Part {
  readonly size: number;
  readonly value: Atom | null;
}

/** A value that is made of parts, side by side along an axis. */
interface Parts {
  readonly type: TensorType;
  readonly axis: number;
  readonly parts: readonly Part[];
}

export function mergePads(graph: Graph): Graph {
  const known = new Map<Atom, Parts>();
  return rebuild(graph, (original) => {
    const equation = mapNestedGraphs(original, mergePads);
    const [out] = equation.outputs;
    if (out === undefined) return [equation];
    if (equation.primitive === "pad") {
      const parts = partsOfPad(equation, out.type);
      if (parts !== null) known.set(out, parts);
    }
    if (equation.primitive !== "add") return [equation];
    const [a, b] = equation.inputs.map((atom) => known.get(atom));
    const merged = a === undefined || b === undefined ? null : merge(a, b);
    if (merged === null) return [equation];
    known.set(out, merged.parts);
    return [...merged.equations, ...side(merged.parts, out)];
  });
}

function partsOfPad({ inputs: [x], params }: EquationOf<"pad">, type: TensorType): Parts | null {
  const { low, high, interior } = params;
  const padded = low.flatMap((n, axis) => (n > 0 || dimOf(high, axis) > 0 ? [axis] : []));
  const [axis] = padded;
  if (x === undefined || axis === undefined || padded.length > 1 || interior.some((n) => n > 0)) return null;
  const parts = [
    { size: dimOf(low, axis), value: null },
    { size: dimOf(x.type.shape, axis), value: x },
    { size: dimOf(high, axis), value: null },
  ];
  return { type, axis, parts: parts.filter(({ size }) => size > 0) };
}

/** The sum, if no part has to be cut but parts of zeros: these add nothing, however they are cut. */
function merge(a: Parts, b: Parts): { readonly parts: Parts; readonly equations: readonly Equation[] } | null {
  if (a.axis !== b.axis) return null;
  const parts: Part[] = [];
  const equations: Equation[] = [];
  const left = new Cursor(a.parts);
  const right = new Cursor(b.parts);
  while (!left.atEnd && !right.atEnd) {
    const size = Math.min(left.rest, right.rest);
    const [x, y] = [left.take(size), right.take(size)];
    if (x === undefined || y === undefined) return null;
    if (x === null || y === null) {
      const last = parts.at(-1);
      if (x === y && last?.value === null) parts[parts.length - 1] = { size: last.size + size, value: null };
      else parts.push({ size, value: x ?? y });
      continue;
    }
    const sum = new Var(x.type);
    equations.push({ primitive: "add", params: {}, inputs: [x, y], outputs: [sum] });
    parts.push({ size, value: sum });
  }
  return { parts: { ...a, parts }, equations };
}

/** Walks along parts in steps that need not be theirs. */
class Cursor {
  private readonly parts: readonly Part[];
  private index = 0;
  private used = 0;

  constructor(parts: readonly Part[]) {
    this.parts = parts;
  }

  get atEnd(): boolean {
    return this.index === this.parts.length;
  }

  /** What is left of the part at hand. */
  get rest(): number {
    return (this.parts[this.index]?.size ?? 0) - this.used;
  }

  /** The next elements; undefined if that would cut a value. */
  take(size: number): Atom | null | undefined {
    const part = this.parts[this.index];
    if (part === undefined || (part.value !== null && part.size !== size)) return undefined;
    this.used += size;
    if (this.rest === 0) {
      this.index++;
      this.used = 0;
    }
    return part.value;
  }
}

/** The equations that lay the parts side by side. */
function side({ type, axis, parts }: Parts, out: Var): readonly Equation[] {
  const equations: Equation[] = [];
  const inputs = parts.map(({ size, value }): Atom => {
    if (value !== null) return value;
    const shape: Shape = type.shape.map((n, i) => (i === axis ? size : n));
    const zeros = new Var({ dtype: type.dtype, shape });
    const inputs = [literal(type.dtype, 0)];
    equations.push({ primitive: "broadcast_in_dim", params: { shape, dims: [] }, inputs, outputs: [zeros] });
    return zeros;
  });
  return [...equations, { primitive: "concatenate", params: { axis }, inputs, outputs: [out] }];
}
