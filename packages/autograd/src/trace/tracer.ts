/** Tracers: the symbolic tensors that a traced function computes with. They hold a type and a place in a graph, no data. */
import { ShapeError, TraceError } from "../errors.ts";
import type { ConcreteArray } from "../ir/concrete-array.ts";
import type { Atom } from "../ir/graph.ts";
import { type DType, formatType, type Shape, type TensorType } from "../ir/tensor-type.ts";
import type { Builder } from "./builder.ts";

/**
 * A symbolic tensor of known dtype and shape. Every operation of `ops/` is a free function and, where its first
 * operand is a tensor, a method of the same name: `add(x, y)` and `x.add(y)` are the same thing.
 */
export class Tracer {
  /** The value in the graph being built. */
  readonly atom: Atom;
  /** The trace it belongs to; null for a literal, which belongs to none. */
  readonly builder: Builder | null;

  constructor(atom: Atom, builder: Builder | null) {
    this.atom = atom;
    this.builder = builder;
  }

  get type(): TensorType {
    return this.atom.type;
  }

  get dtype(): DType {
    return this.atom.type.dtype;
  }

  get shape(): Shape {
    return this.atom.type.shape;
  }

  get rank(): number {
    return this.atom.type.shape.length;
  }

  /** Size of one axis; negative axes count from the end. */
  dim(axis: number): number {
    const size = this.shape[axis < 0 ? axis + this.rank : axis];
    if (size === undefined) throw new ShapeError(`dim: axis ${axis} is out of range for ${formatType(this.type)}`);
    return size;
  }

  toString(): string {
    return `Tracer<${formatType(this.type)}>`;
  }

  /** A tracer has no number to convert to: this turns `x + y` on tensors into an error instead of a NaN. */
  [Symbol.toPrimitive](hint: string): string {
    if (hint === "string") return this.toString();
    throw new TraceError(
      `${this.toString()} has no value while tracing; use add, mul, where, ... instead of operators`,
    );
  }
}

/** What an operation takes: numbers and booleans take the dtype of the other operand. */
export type Operand = Tracer | ConcreteArray | number | boolean;
