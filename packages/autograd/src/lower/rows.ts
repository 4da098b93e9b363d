/**
 * Loops by blocks of rows. Where every kernel of a loop works row by row, the loop is run to its end for one block of rows
 * after another: what it touches stays in the cache, weights are read once per block, and a while in it stops as soon as
 * its own rows have. Rows are axis 0 of every kernel.
 */
import type { Access, LoopCounter } from "./access.ts";
import { type Expression, type ProgramBuffer, rewriteExpression, visitExpression } from "./expression.ts";
import {
  expressionsOf,
  type ForLoop,
  isKernel,
  type Kernel,
  type Program,
  readBy,
  type Step,
  type Store,
  visitSteps,
  writtenBy,
} from "./program.ts";

/** Rows per block: enough for the register tiles of a contraction, few enough that some dozen rows of each value fit in L1. */
const BLOCK = 16;

/** How far apart the rows of each buffer are, in elements; 0 where all rows share it. */
type RowStrides = ReadonlyMap<ProgramBuffer, number>;

export function blockRows(program: Program): Program {
  const local = buffersOfOneStep(program);
  const shrunk = new Map<ProgramBuffer, ProgramBuffer>();
  const steps = program.steps.map((step) => (step.kind === "for" ? (blocked(step, local, shrunk) ?? step) : step));
  return { ...program, steps, temporaries: program.temporaries.map((buffer) => shrunk.get(buffer) ?? buffer) };
}

/** Temporaries that a single top-level step touches, and so nobody outside sees. */
function buffersOfOneStep(program: Program): ReadonlyMap<ProgramBuffer, Step> {
  const owner = new Map<ProgramBuffer, Step | null>();
  for (const top of program.steps) {
    visitSteps([top], (step) => {
      const touched = isKernel(step) ? [...readBy(step), ...writtenBy(step)] : [];
      if (step.kind === "while") touched.push(step.flag, step.steps);
      for (const buffer of touched) {
        const known = owner.get(buffer);
        owner.set(buffer, known === undefined || known === top ? top : null);
      }
    });
  }
  const single = new Map<ProgramBuffer, Step>();
  for (const buffer of program.temporaries) {
    const step = owner.get(buffer);
    if (step !== undefined && step !== null) single.set(buffer, step);
  }
  return single;
}

/** The loop inside a loop over blocks of rows, or null where a kernel does not work row by row. */
function blocked(
  loop: ForLoop,
  local: ReadonlyMap<ProgramBuffer, Step>,
  shrunk: Map<ProgramBuffer, ProgramBuffer>,
): ForLoop | null {
  const kernels: Kernel[] = [];
  const flags = new Set<ProgramBuffer>();
  visitSteps([loop], (step) => {
    if (isKernel(step)) kernels.push(step);
    if (step.kind === "while") flags.add(step.flag);
  });
  const rows = kernels[0]?.shape[0];
  if (rows === undefined || rows <= BLOCK || rows % BLOCK !== 0) return null;
  const strides = rowStrides(kernels, rows, flags);
  if (strides === null) return null;
  // Blocks may run at once: a flag tells about one of them.
  const locals = [...flags];
  for (const [buffer, stride] of strides) {
    if (local.get(buffer) === loop && stride > 0 && buffer.size === rows * stride) {
      const small = { ...buffer, size: BLOCK * stride };
      shrunk.set(buffer, small);
      locals.push(small);
    }
  }
  const counter: LoopCounter = { name: `rows of ${loop.counter.name}` };
  const body = [rewriteStep(loop, new BlockRewriter(counter, strides, flags, shrunk))];
  return { kind: "for", counter, length: rows / BLOCK, reverse: false, body, locals };
}

/** Row strides of every buffer that the kernels touch, or null if some kernel mixes rows. */
function rowStrides(kernels: readonly Kernel[], rows: number, flags: ReadonlySet<ProgramBuffer>): RowStrides | null {
  const strides = new Map<ProgramBuffer, number>();
  const written = new Set(kernels.flatMap(writtenBy));
  const mixed: ProgramBuffer[] = [];
  const see = (buffer: ProgramBuffer, access: Access, sizes: readonly number[]): void => {
    const stride = access.strides[0] ?? 0;
    const known = strides.get(buffer) ?? stride;
    strides.set(buffer, stride);
    // Within a row, an access must stay in that row; what all rows share must not be written.
    const fits = stride > 0 ? spanOf(access, sizes) < stride : stride === 0 && !written.has(buffer);
    if (known !== stride || !fits) mixed.push(buffer);
  };
  for (const kernel of kernels) {
    const sizes = spaceOf(kernel, flags);
    if (sizes?.[0] !== rows || kernel.kind === "scatter") return null;
    if (kernel.kind === "recur" && kernel.axis === 0) return null;
    for (const root of expressionsOf(kernel)) {
      visitExpression(root, (node) => {
        if (node.kind === "read") see(node.buffer, node.access, sizes);
        if (node.kind === "gather" && (node.access.strides[0] !== 0 || written.has(node.buffer)))
          mixed.push(node.buffer);
      });
    }
    for (const { buffer, access } of kernel.stores) if (!flags.has(buffer)) see(buffer, access, sizes);
  }
  return mixed.length === 0 ? strides : null;
}

/** Sizes of all axes that a kernel's expressions run over, rows first; null if rows are combined. */
function spaceOf(kernel: Kernel, flags: ReadonlySet<ProgramBuffer>): readonly number[] | null {
  switch (kernel.kind) {
    case "reduce": {
      // The flag of a while is whether any row is active: of a block, any of its rows.
      if (kernel.shape.length > 0) return [...kernel.shape, ...kernel.reduced];
      return kernel.stores.every(({ buffer }) => flags.has(buffer)) ? kernel.reduced : null;
    }
    case "contract":
      return [...kernel.shape, ...kernel.k];
    default:
      return kernel.shape;
  }
}

/** Distance between the first and the last element that an access touches within one row. */
function spanOf({ strides }: Access, sizes: readonly number[]): number {
  let span = 0;
  strides.forEach((stride, axis) => {
    if (axis > 0) span += Math.abs(stride) * Math.max(0, (sizes[axis] ?? 1) - 1);
  });
  return span;
}

/** Rewrites kernels to one block of rows, whose place the counter gives. */
class BlockRewriter {
  private readonly counter: LoopCounter;
  private readonly strides: RowStrides;
  private readonly flags: ReadonlySet<ProgramBuffer>;
  private readonly shrunk: ReadonlyMap<ProgramBuffer, ProgramBuffer>;

  constructor(
    counter: LoopCounter,
    strides: RowStrides,
    flags: ReadonlySet<ProgramBuffer>,
    shrunk: ReadonlyMap<ProgramBuffer, ProgramBuffer>,
  ) {
    this.counter = counter;
    this.strides = strides;
    this.flags = flags;
    this.shrunk = shrunk;
  }

  kernel(kernel: Kernel): Kernel {
    const known = new Map<Expression, Expression>();
    const move = (root: Expression): Expression => rewriteExpression(root, (node) => this.node(node), known);
    const stores = (list: readonly Store[]): readonly Store[] =>
      list.map(({ buffer, access, value }) => ({
        buffer: this.shrunk.get(buffer) ?? buffer,
        access: this.flags.has(buffer) ? access : this.moved(buffer, access),
        value: move(value),
      }));
    const shape = [BLOCK, ...kernel.shape.slice(1)];
    switch (kernel.kind) {
      case "map":
        return { ...kernel, shape, stores: stores(kernel.stores) };
      case "reduce": {
        const rest = { ...kernel, value: move(kernel.value), stores: stores(kernel.stores) };
        return kernel.shape.length > 0 ? { ...rest, shape } : { ...rest, reduced: [BLOCK, ...kernel.reduced.slice(1)] };
      }
      case "contract":
        return {
          ...kernel,
          shape,
          left: this.node(kernel.left) as typeof kernel.left,
          right: this.node(kernel.right) as typeof kernel.right,
          stores: stores(kernel.stores),
        };
      case "recur":
        return { ...kernel, shape, a: move(kernel.a), b: move(kernel.b), stores: stores(kernel.stores) };
      case "scatter":
        throw new RangeError("blockRows: a scatter does not work row by row");
      default:
        return kernel satisfies never;
    }
  }

  private node(node: Expression): Expression {
    switch (node.kind) {
      case "read": {
        const access = this.moved(node.buffer, node.access);
        return { ...node, buffer: this.shrunk.get(node.buffer) ?? node.buffer, access };
      }
      case "index":
        return { ...node, access: this.stepped(node.access) };
      case "bits":
        return { ...node, counter: this.stepped(node.counter) };
      default:
        return node;
    }
  }

  /** Memory of one block has the same place in every block; other memory is stepped through. */
  private moved(buffer: ProgramBuffer, access: Access): Access {
    return this.shrunk.has(buffer) || this.strides.get(buffer) === 0 ? access : this.stepped(access);
  }

  private stepped(access: Access): Access {
    const stride = (access.strides[0] ?? 0) * BLOCK;
    return stride === 0 ? access : { ...access, loops: [...access.loops, { counter: this.counter, stride }] };
  }
}

function rewriteStep(step: Step, rewriter: BlockRewriter): Step {
  const all = (steps: readonly Step[]): readonly Step[] => steps.map((inner) => rewriteStep(inner, rewriter));
  switch (step.kind) {
    case "for":
      return { ...step, body: all(step.body) };
    case "while":
      return { ...step, test: all(step.test), body: all(step.body) };
    default:
      return rewriter.kernel(step);
  }
}
