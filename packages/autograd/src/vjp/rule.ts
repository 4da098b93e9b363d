/** The shape of a differentiation rule, and the total table that holds one per primitive. */
import type { PrimitiveName, PrimitiveParams } from "../ir/primitives.ts";
import type { Tracer } from "../trace/tracer.ts";

/** One application of a primitive, as its rule sees it. */
export interface VjpContext<P extends PrimitiveName> {
  readonly inputs: readonly Tracer[];
  readonly outputs: readonly Tracer[];
  readonly params: PrimitiveParams[P];
  /** Which inputs a gradient is wanted for; the cotangents of the others are ignored, so they need not be computed. */
  readonly needs: readonly boolean[];
}

/**
 * From the cotangent of each output to the cotangent of each input: v -> J^T v. Rules build graph with ops/, so a
 * gradient can be differentiated again. Null stands for a zero cotangent.
 */
export type BackwardRule<P extends PrimitiveName> = (
  cotangents: readonly Tracer[],
  context: VjpContext<P>,
) => readonly (Tracer | null)[];

/** A rule whose forward pass must save more than the outputs. */
export interface SavingRule<P extends PrimitiveName> {
  /** Computes the outputs anew, and what the backward pass needs. */
  readonly forward: (context: Omit<VjpContext<P>, "outputs">) => {
    readonly outputs: readonly Tracer[];
    readonly saved: readonly Tracer[];
  };
  /** Here an output that nothing depends on has the cotangent null. */
  readonly backward: (
    cotangents: readonly (Tracer | null)[],
    context: VjpContext<P> & { readonly saved: readonly Tracer[] },
  ) => readonly (Tracer | null)[];
}

/** The derivative is zero wherever it exists. */
export const zeroCotangent: unique symbol = Symbol("zeroCotangent");

/** No derivative is defined; the message says what to do instead. */
export interface NotDifferentiable {
  readonly notDifferentiable: string;
}

export type VjpRule<P extends PrimitiveName> =
  BackwardRule<P> | SavingRule<P> | typeof zeroCotangent | NotDifferentiable;

export type VjpTable = { readonly [P in PrimitiveName]: VjpRule<P> };
