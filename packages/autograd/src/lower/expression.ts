/** Scalar expressions: what one element of a fused kernel computes. A small typed graph that every backend can emit. */
import type { CompareDirection } from "../ir/primitives.ts";
import type { DType } from "../ir/tensor-type.ts";
import type { Access } from "./access.ts";

/** Memory that kernels read and write: an input, an output or a temporary of a program. */
export interface ProgramBuffer {
  readonly name: string;
  readonly dtype: DType;
  /** Elements. */
  readonly size: number;
}

/** Scalar operations: the elementwise primitives. */
export type ScalarOperation =
  | ("neg" | "abs" | "sign" | "floor" | "exp" | "log" | "log1p" | "expm1" | "sin" | "cos" | "tanh" | "logistic")
  | ("sqrt" | "rsqrt" | "is_finite" | "not" | "convert_element_type" | "select")
  | ("add" | "sub" | "mul" | "div" | "max" | "min" | "pow" | "and" | "or" | "compare");

export interface Constant {
  readonly kind: "constant";
  readonly dtype: DType;
  readonly value: number;
}

/** An element of memory. */
export interface Read {
  readonly kind: "read";
  readonly dtype: DType;
  readonly buffer: ProgramBuffer;
  readonly access: Access;
}

/** The value of an affine map itself: iota. */
export interface IndexValue {
  readonly kind: "index";
  readonly dtype: DType;
  readonly access: Access;
}

/** The element at access + index * stride; NaN (0 for non-floats) unless 0 <= index < limit. */
export interface Gather {
  readonly kind: "gather";
  readonly dtype: DType;
  readonly buffer: ProgramBuffer;
  readonly access: Access;
  readonly stride: number;
  readonly limit: number;
  readonly index: Expression;
}

/** Threefry-2x32 at a counter: the xor of the two words. The key is two consecutive elements. */
export interface RandomBits {
  readonly kind: "bits";
  readonly dtype: "uint32";
  readonly key: readonly [Expression, Expression];
  readonly counter: Access;
}

export interface Apply {
  readonly kind: "apply";
  readonly dtype: DType;
  readonly operation: ScalarOperation;
  /** For `compare`. */
  readonly direction?: CompareDirection;
  readonly args: readonly Expression[];
}

/** In an epilogue: the result of the reduction or contraction that it finishes. */
export interface Accumulated {
  readonly kind: "accumulated";
  readonly dtype: DType;
}

/** Nodes are shared: the same object is computed once. */
export type Expression = Constant | Read | IndexValue | Gather | RandomBits | Apply | Accumulated;

export function childrenOf(expression: Expression): readonly Expression[] {
  switch (expression.kind) {
    case "apply":
      return expression.args;
    case "gather":
      return [expression.index];
    case "bits":
      return expression.key;
    case "constant":
    case "read":
    case "index":
    case "accumulated":
      return NONE;
    default:
      return expression satisfies never;
  }
}

const NONE: readonly Expression[] = [];

/**
 * Rebuilds an expression bottom-up; `f` sees a node whose children are already rebuilt. Shared nodes stay shared, also
 * among several expressions that are given the same `done`.
 */
export function rewriteExpression(
  root: Expression,
  f: (node: Expression) => Expression,
  done: Map<Expression, Expression> = new Map<Expression, Expression>(),
): Expression {
  const visit = (node: Expression): Expression => {
    const known = done.get(node);
    if (known !== undefined) return known;
    const children = childrenOf(node);
    const result = f(children.length === 0 ? node : withChildren(node, children, children.map(visit)));
    done.set(node, result);
    return result;
  };
  return visit(root);
}

function withChildren(node: Expression, before: readonly Expression[], children: readonly Expression[]): Expression {
  const same = children.every((child, i) => child === before[i]);
  if (same) return node;
  const [first, second] = children;
  switch (node.kind) {
    case "apply": {
      const { kind, operation, dtype, direction } = node;
      return direction === undefined
        ? { kind, operation, dtype, args: children }
        : { kind, operation, direction, dtype, args: children };
    }
    case "gather":
      return first === undefined ? node : { ...node, index: first };
    case "bits":
      return first === undefined || second === undefined ? node : { ...node, key: [first, second] };
    default:
      return node;
  }
}

/** The same memory read elsewhere. Written out, as accesses are. */
export function readAt({ dtype, buffer }: Read, access: Access): Read {
  return { kind: "read", dtype, buffer, access };
}

/** The node with its access mapped, if it has one. */
export function mapAccess(node: Expression, f: (access: Access) => Access): Expression {
  switch (node.kind) {
    case "read":
      return readAt(node, f(node.access));
    case "index":
    case "gather":
      return { ...node, access: f(node.access) };
    case "bits":
      return { ...node, counter: f(node.counter) };
    default:
      return node;
  }
}

/** Moves every access of an expression by one map; null as soon as one cannot be moved. `done` as for `rewriteExpression`. */
export function mapAccesses(
  root: Expression,
  f: (access: Access) => Access | null,
  done?: Map<Expression, Expression>,
): Expression | null {
  const failures: Access[] = [];
  const moved = (access: Access): Access => {
    const result = f(access);
    if (result === null) failures.push(access);
    return result ?? access;
  };
  const result = rewriteExpression(root, (node) => mapAccess(node, moved), done);
  return failures.length === 0 ? result : null;
}

/** Visits every node once, children first. */
export function visitExpression(root: Expression, f: (node: Expression) => void): void {
  // Most are a constant or a read.
  if (childrenOf(root).length === 0) f(root);
  else visitExpressions([root], f);
}

/** Visits every node of several expressions once, children first. */
export function visitExpressions(roots: readonly Expression[], f: (node: Expression) => void): void {
  const seen = new Set<Expression>();
  const visit = (node: Expression): void => {
    if (seen.has(node)) return;
    seen.add(node);
    childrenOf(node).forEach(visit);
    f(node);
  };
  roots.forEach(visit);
}

/** Operations that cost about as much as a dozen additions. */
const HEAVY: ReadonlySet<ScalarOperation> = new Set<ScalarOperation>([
  "exp",
  "log",
  "log1p",
  "expm1",
  "sin",
  "cos",
  "tanh",
  "logistic",
  "pow",
]);
const MEDIUM: ReadonlySet<ScalarOperation> = new Set<ScalarOperation>(["div", "sqrt", "rsqrt"]);

/** Work per element, in additions: what recomputing the expression costs. */
export function costOf(root: Expression): number {
  let cost = 0;
  visitExpression(root, (node) => {
    if (node.kind === "apply") cost += HEAVY.has(node.operation) ? 12 : MEDIUM.has(node.operation) ? 4 : 1;
    if (node.kind === "bits") cost += 100;
    if (node.kind === "gather") cost += 4;
  });
  return cost;
}

/** Distinct buffers that an expression reads. */
export function buffersOf(roots: readonly Expression[]): ReadonlySet<ProgramBuffer> {
  const buffers = new Set<ProgramBuffer>();
  visitExpressions(roots, (node) => {
    if (node.kind === "read" || node.kind === "gather") buffers.add(node.buffer);
  });
  return buffers;
}
