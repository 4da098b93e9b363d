/** What loops over blocks of rows are made of: where the rows of a buffer are, and kernels rewritten to one block. */
import type { Shape } from "../ir/tensor-type.ts";
import type { Access, LoopCounter } from "./access.ts";
import { type Expression, type ProgramBuffer, rewriteExpression } from "./expression.ts";
import type { Kernel, Step, Store } from "./program.ts";

/** Where the rows of a buffer are, in elements: row i is from (first + i) * stride on. */
export interface Rows {
  readonly stride: number;
  readonly first: number;
}

export const sameRows = (a: Rows | null | undefined, b: Rows | null | undefined): boolean =>
  a?.stride === b?.stride && a?.first === b?.first;

/** The rows of an access that stays in one row of memory for each row of the kernel; null if it does not. */
export function rowsOf({ offset, strides }: Access, space: Shape): Rows | null {
  const [stride = 0] = strides;
  let [least, greatest] = [offset, offset];
  strides.forEach((along, axis) => {
    const reach = axis === 0 ? 0 : along * Math.max(0, (space[axis] ?? 1) - 1);
    least += Math.min(0, reach);
    greatest += Math.max(0, reach);
  });
  const first = Math.floor(least / stride);
  return stride > 0 && Math.floor(greatest / stride) === first ? { stride, first } : null;
}

export interface RowBlock {
  /** Of the loop over the blocks. */
  readonly counter: LoopCounter;
  /** Rows of a block. */
  readonly size: number;
  /** What is left of the temporaries that only one block at a time needs. */
  readonly shrunk: ReadonlyMap<ProgramBuffer, ProgramBuffer>;
}

/** Steps that did all rows, doing those of one block. A reduction to nothing, as that of a loop's flag, combines its rows. */
export function inBlock(step: Step, block: RowBlock): Step {
  const all = (steps: readonly Step[]): readonly Step[] => steps.map((inner) => inBlock(inner, block));
  switch (step.kind) {
    case "for":
      return { ...step, body: all(step.body) };
    case "while":
      return { ...step, test: all(step.test), body: all(step.body) };
    default:
      return new BlockRewriter(block).kernel(step);
  }
}

/** Rewrites one kernel; expressions that its values share stay shared. */
class BlockRewriter {
  private readonly block: RowBlock;
  private readonly known = new Map<Expression, Expression>();

  constructor(block: RowBlock) {
    this.block = block;
  }

  kernel(kernel: Kernel): Kernel {
    const { size } = this.block;
    if (kernel.kind === "scatter") throw new RangeError("inBlock: a scatter does not work row by row");
    const shape = kernel.shape.length === 0 ? kernel.shape : [size, ...kernel.shape.slice(1)];
    const stores = kernel.stores.map(({ buffer, access, value }): Store => ({
      ...this.place(buffer, access),
      value: this.moved(value),
    }));
    switch (kernel.kind) {
      case "map":
        return { ...kernel, shape, stores };
      case "reduce": {
        const reduced = kernel.shape.length === 0 ? [size, ...kernel.reduced.slice(1)] : kernel.reduced;
        return { ...kernel, shape, reduced, value: this.moved(kernel.value), stores };
      }
      case "contract": {
        const left = { ...kernel.left, ...this.place(kernel.left.buffer, kernel.left.access) };
        const right = { ...kernel.right, ...this.place(kernel.right.buffer, kernel.right.access) };
        return { ...kernel, shape, left, right, stores };
      }
      case "recur":
        return { ...kernel, shape, a: this.moved(kernel.a), b: this.moved(kernel.b), stores };
      default:
        return kernel satisfies never;
    }
  }

  private moved(root: Expression): Expression {
    return rewriteExpression(root, (node) => this.node(node), this.known);
  }

  private node(node: Expression): Expression {
    switch (node.kind) {
      case "read":
      case "gather":
        return { ...node, ...this.place(node.buffer, node.access) };
      case "index":
        return { ...node, access: this.stepped(node.access) };
      case "bits":
        return { ...node, counter: this.stepped(node.counter) };
      default:
        return node;
    }
  }

  /** Memory of one block has the same place in every block; other memory is stepped through. */
  private place(buffer: ProgramBuffer, access: Access): { readonly buffer: ProgramBuffer; readonly access: Access } {
    const small = this.block.shrunk.get(buffer);
    return small === undefined ? { buffer, access: this.stepped(access) } : { buffer: small, access };
  }

  private stepped(access: Access): Access {
    const stride = (access.strides[0] ?? 0) * this.block.size;
    return stride === 0 ? access : { ...access, loops: [...access.loops, { counter: this.block.counter, stride }] };
  }
}
