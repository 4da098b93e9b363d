/** Programs: what a backend generates code from. Kernels over loop nests, in order, with loops whose bodies are programs. */
import { type Shape, sizeOf, type TensorType } from "../ir/tensor-type.ts";
import type { Access, LoopCounter } from "./access.ts";
import { buffersOf, costOf, type Expression, type ProgramBuffer, type Read } from "./expression.ts";

/** Where a kernel writes: one element per point of its space. */
export interface Store {
  readonly buffer: ProgramBuffer;
  readonly access: Access;
  /** Over the axes of the kernel's shape; `accumulated` is what the kernel has computed at the point. */
  readonly value: Expression;
}

interface Points {
  /** The points at which results are stored, one axis each. */
  readonly shape: Shape;
  /** All values of a point are evaluated before any is stored. */
  readonly stores: readonly Store[];
}

/** Elementwise work: for every point, evaluate and store. */
export interface MapKernel extends Points {
  readonly kind: "map";
}

export type Combine = "sum" | "max" | "argmax";

/** For every point: combine `value` over `reduced`, whose axes follow those of `shape`. */
export interface ReduceKernel extends Points {
  readonly kind: "reduce";
  readonly reduced: Shape;
  readonly combine: Combine;
  readonly value: Expression;
}

/**
 * For every point [batch, m, n]: the sum over k of left[batch, m, k] * right[batch, k, n]. Accesses of the operands run
 * over batch, m, n and k in this order, with stride 0 along axes they do not have.
 */
export interface ContractKernel extends Points {
  readonly kind: "contract";
  /** Number of axes of each kind; the first three make up `shape`. */
  readonly axes: { readonly batch: number; readonly m: number; readonly n: number };
  /** Sizes of the contracted axes. */
  readonly k: Shape;
  readonly left: Read;
  readonly right: Read;
}

/** h = a h + b along one axis of `shape`, from 0; backwards if `reverse`. */
export interface RecurKernel extends Points {
  readonly kind: "recur";
  readonly axis: number;
  readonly reverse: boolean;
  readonly a: Expression;
  readonly b: Expression;
}

/** For every point, in row-major order: the element at access + index * stride += value, unless the index is outside [0, limit). */
export interface ScatterKernel {
  readonly kind: "scatter";
  readonly shape: Shape;
  readonly buffer: ProgramBuffer;
  readonly access: Access;
  readonly stride: number;
  readonly limit: number;
  readonly index: Expression;
  readonly value: Expression;
}

export type Kernel = MapKernel | ReduceKernel | ContractKernel | RecurKernel | ScatterKernel;

/** Repeats: run `test`; stop unless the bool in `flag` is set; run `body`. At most maxSteps times. */
export interface WhileLoop {
  readonly kind: "while";
  readonly test: readonly Step[];
  readonly flag: ProgramBuffer;
  readonly body: readonly Step[];
  readonly maxSteps: number;
  /** int32: iterations made, of each row if the loop stops by rows. */
  readonly steps: ProgramBuffer;
}

/** Runs `body` for each value of the counter: 0 to length - 1, or down if `reverse`. */
export interface ForLoop {
  readonly kind: "for";
  readonly counter: LoopCounter;
  readonly length: number;
  readonly reverse: boolean;
  readonly body: readonly Step[];
  /**
   * Null if iterations depend on those before them. Otherwise they may run in any order, or at once: then each needs
   * memory of its own for these temporaries, which nothing outside the loop touches.
   */
  readonly locals: readonly ProgramBuffer[] | null;
}

export type Step = Kernel | WhileLoop | ForLoop;

export interface Program {
  readonly inputs: readonly ProgramBuffer[];
  readonly outputs: readonly ProgramBuffer[];
  readonly inputTypes: readonly TensorType[];
  readonly outputTypes: readonly TensorType[];
  readonly temporaries: readonly ProgramBuffer[];
  readonly steps: readonly Step[];
}

export function isKernel(step: Step): step is Kernel {
  return step.kind !== "while" && step.kind !== "for";
}

/** What a kernel evaluates before it has a result to store; a map has nothing. */
export function operandsOf(kernel: Kernel): readonly Expression[] {
  switch (kernel.kind) {
    case "map":
      return [];
    case "reduce":
      return [kernel.value];
    case "contract":
      return [kernel.left, kernel.right];
    case "recur":
      return [kernel.a, kernel.b];
    case "scatter":
      return [kernel.index, kernel.value];
    default:
      return kernel satisfies never;
  }
}

/** Every expression that a kernel evaluates. */
export function expressionsOf(kernel: Kernel): readonly Expression[] {
  return kernel.kind === "scatter"
    ? operandsOf(kernel)
    : [...operandsOf(kernel), ...kernel.stores.map(({ value }) => value)];
}

/** Buffers that a kernel writes. */
export function writtenBy(kernel: Kernel): readonly ProgramBuffer[] {
  return kernel.kind === "scatter" ? [kernel.buffer] : kernel.stores.map(({ buffer }) => buffer);
}

/** Kernels do not change, and fusion asks for every pair of them. */
const knownReads = new WeakMap<Kernel, ReadonlySet<ProgramBuffer>>();

/** Buffers that a kernel reads; a scatter reads what it adds to. */
export function readBy(kernel: Kernel): ReadonlySet<ProgramBuffer> {
  const known = knownReads.get(kernel);
  if (known !== undefined) return known;
  const buffers = new Set(buffersOf(expressionsOf(kernel)));
  if (kernel.kind === "scatter") buffers.add(kernel.buffer);
  knownReads.set(kernel, buffers);
  return buffers;
}

/** Work of one run of a kernel, in additions. */
export function workOf(kernel: Kernel): number {
  const points = sizeOf(kernel.shape);
  if (kernel.kind === "contract") return 2 * points * sizeOf(kernel.k);
  const inner = kernel.kind === "reduce" ? sizeOf(kernel.reduced) : 1;
  return points * inner * expressionsOf(kernel).reduce((sum, expression) => sum + 1 + costOf(expression), 0);
}

/** Visits every step in the order of the text, loops before what is in them. */
export function visitSteps(steps: readonly Step[], f: (step: Step) => void): void {
  for (const step of steps) {
    f(step);
    if (step.kind === "while") {
      visitSteps(step.test, f);
      visitSteps(step.body, f);
    }
    if (step.kind === "for") visitSteps(step.body, f);
  }
}
