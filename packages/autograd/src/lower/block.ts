/** Lowering one graph to steps: values stay expressions until something needs them in memory. */
import { GraphError } from "../errors.ts";
import { type Atom, type Graph, isVar, type Var } from "../ir/graph.ts";
import { type DType, type Shape, sizeOf, type TensorType } from "../ir/tensor-type.ts";
import { type Access, wholeOf } from "./access.ts";
import { childrenOf, costOf, type Expression, type ProgramBuffer, type Read, visitExpression } from "./expression.ts";
import type { Step } from "./program.ts";

/** A value of the graph: an expression over the axes of its shape. */
export interface Value {
  readonly type: TensorType;
  readonly expression: Expression;
}

/** Names and collects the temporaries of a whole program. */
export class BufferPool {
  readonly temporaries: ProgramBuffer[] = [];

  temporary(dtype: DType, size: number, hint: string): ProgramBuffer {
    const buffer: ProgramBuffer = { name: `${hint}${this.temporaries.length}`, dtype, size };
    this.temporaries.push(buffer);
    return buffer;
  }
}

/** Nodes in one kernel at most; longer chains are cut, so that registers and compile time stay bounded. */
const MAX_NODES = 64;

/** Recomputing an expression of at most this cost is cheaper than a trip through memory. */
const CHEAP = 1;

/** The steps being written for one graph; a loop's body is a block of its own over the same pool. */
export class Block {
  readonly steps: Step[] = [];
  readonly pool: BufferPool;
  private readonly values = new Map<Var, Value>();
  private readonly uses: ReadonlyMap<Var, number>;

  constructor(graph: Graph, pool: BufferPool) {
    this.pool = pool;
    this.uses = countUses(graph);
  }

  set(v: Var, value: Value): void {
    this.values.set(v, value);
  }

  get(atom: Atom): Value {
    if (!isVar(atom)) {
      return { type: atom.type, expression: { kind: "constant", dtype: atom.type.dtype, value: atom.value } };
    }
    const value = this.values.get(atom);
    if (value === undefined) throw new GraphError("lower: a value is used before it is assigned");
    return value;
  }

  /**
   * Records a computed value. It becomes memory at once where several readers would compute it again and that costs more
   * than reading, or where it has grown too long.
   */
  define(v: Var, expression: Expression): void {
    const value = { type: v.type, expression };
    const again = (this.uses.get(v) ?? 0) > 1 && costOf(expression) > CHEAP;
    this.set(v, again || hasMoreNodes(expression, MAX_NODES) ? this.stored(value) : value);
  }

  /** The value as memory: itself where it is memory already, else what a new map kernel writes. */
  stored(value: Value, hint = "t"): Value & { readonly expression: Read } {
    const { type, expression } = value;
    if (expression.kind === "read") return { type, expression };
    return this.copied(value, hint);
  }

  /** The value in new, contiguous memory. */
  copied({ type, expression }: Value, hint = "t"): Value & { readonly expression: Read } {
    const buffer = this.pool.temporary(type.dtype, sizeOf(type.shape), hint);
    const result = this.reading(type, buffer);
    this.write(type.shape, buffer, result.expression.access, expression);
    return result;
  }

  /** A value that reads the whole of a buffer. */
  reading(type: TensorType, buffer: ProgramBuffer): Value & { readonly expression: Read } {
    return { type, expression: { kind: "read", dtype: type.dtype, buffer, access: wholeOf(type.shape) } };
  }

  /** Appends a map kernel with one store. */
  write(shape: Shape, buffer: ProgramBuffer, access: Access, value: Expression): void {
    this.steps.push({ kind: "map", shape, stores: [{ buffer, access, value }] });
  }
}

function countUses(graph: Graph): ReadonlyMap<Var, number> {
  const uses = new Map<Var, number>();
  const use = (atom: Atom): void => {
    if (isVar(atom)) uses.set(atom, (uses.get(atom) ?? 0) + 1);
  };
  for (const equation of graph.equations) equation.inputs.forEach(use);
  graph.outputs.forEach(use);
  return uses;
}

function hasMoreNodes(expression: Expression, limit: number): boolean {
  if (!hasMoreUses(expression, limit)) return false;
  let count = 0;
  visitExpression(expression, () => count++);
  return count > limit;
}

/** Nodes counted as often as they are used: never fewer, and quickly known to be few. */
function hasMoreUses(expression: Expression, limit: number): boolean {
  let left = limit;
  const visit = (node: Expression): void => {
    left--;
    if (left >= 0) childrenOf(node).forEach(visit);
  };
  visit(expression);
  return left < 0;
}
