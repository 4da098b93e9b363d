/**
 * What a primitive is implemented as. Throughout this folder a read of a typed array carries `as number`: the index is
 * in range by construction, and a check of each element would be most of the time of a loop.
 */
import type { EquationOf, Graph } from "../ir/graph.ts";
import type { PrimitiveName } from "../ir/primitives.ts";
import type { HostArray, TensorType } from "../ir/tensor-type.ts";

/** Writes every element of `outputs`, which share no memory with `inputs`; scratch arrays follow the results. */
export type Kernel = (outputs: readonly HostArray[], inputs: readonly HostArray[]) => void;

export type Implementation =
  | { readonly kind: "kernel"; readonly run: Kernel; readonly scratch: readonly TensorType[] }
  /** The result is the operand, under another type or none. */
  | { readonly kind: "alias" }
  /** The equations of another graph stand for this one. */
  | { readonly kind: "inline"; readonly graph: Graph };

/** A graph made ready to run; all the memory it needs besides inputs and outputs lies in one arena. */
export interface Program {
  readonly arenaBytes: number;
  /** Fills `outputs`, which share no memory with `inputs`. Iterations of outermost whiles are appended to `loopSteps`. */
  run(arena: Uint8Array, outputs: readonly HostArray[], inputs: readonly HostArray[], loopSteps?: number[]): void;
}

/** What depends only on types and parameters is worked out here, once; `compile` is for nested graphs. */
export type KernelRule<P extends PrimitiveName> = (
  equation: EquationOf<P>,
  compile: (graph: Graph) => Program,
) => Implementation;

export function kernel(run: Kernel, scratch: readonly TensorType[] = []): Implementation {
  return { kind: "kernel", run, scratch };
}

/** A kernel of one result and at most three operands; a loop declares as many as it reads. */
export function loop(body: (out: HostArray, a: HostArray, b: HostArray, c: HostArray) => void): Implementation {
  return kernel((outputs, inputs) => {
    body(arrayAt(outputs, 0), arrayAt(inputs, 0), arrayAt(inputs, 1), arrayAt(inputs, 2));
  });
}

/** The array at a position that the verifier has shown to exist. */
export function arrayAt(arrays: readonly HostArray[], index: number): HostArray {
  return arrays[index] as HostArray;
}

/** The type of an operand or result at a position that the verifier has shown to exist. */
export function typeAt(atoms: readonly { readonly type: TensorType }[], index: number): TensorType {
  return (atoms[index] as { readonly type: TensorType }).type;
}
