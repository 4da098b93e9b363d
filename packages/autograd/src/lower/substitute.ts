/** Other memory in place of buffers, in steps and all that is in them. */
import { type Expression, type ProgramBuffer, type Read, rewriteExpression } from "./expression.ts";
import type { Kernel, Step, Store } from "./program.ts";

/** Steps that touch `buffers.get(b)` wherever they touched b; the sizes have to be the same. */
export function substituteBuffers(
  steps: readonly Step[],
  buffers: ReadonlyMap<ProgramBuffer, ProgramBuffer>,
): readonly Step[] {
  const other = (buffer: ProgramBuffer): ProgramBuffer => buffers.get(buffer) ?? buffer;
  const all = (inner: readonly Step[]): readonly Step[] => substituteBuffers(inner, buffers);
  return steps.map((step): Step => {
    switch (step.kind) {
      case "for":
        return { ...step, body: all(step.body), locals: step.locals?.map(other) ?? null };
      case "while":
        return {
          ...step,
          test: all(step.test),
          body: all(step.body),
          flag: other(step.flag),
          steps: other(step.steps),
        };
      default:
        return kernelOn(step, other);
    }
  });
}

function kernelOn(kernel: Kernel, other: (buffer: ProgramBuffer) => ProgramBuffer): Kernel {
  const known = new Map<Expression, Expression>();
  const moved = (root: Expression): Expression =>
    rewriteExpression(
      root,
      (node) => (node.kind === "read" || node.kind === "gather" ? { ...node, buffer: other(node.buffer) } : node),
      known,
    );
  if (kernel.kind === "scatter") {
    const { buffer, index, value } = kernel;
    return { ...kernel, buffer: other(buffer), index: moved(index), value: moved(value) };
  }
  const stores = kernel.stores.map((store): Store => ({
    ...store,
    buffer: other(store.buffer),
    value: moved(store.value),
  }));
  switch (kernel.kind) {
    case "map":
      return { ...kernel, stores };
    case "reduce":
      return { ...kernel, stores, value: moved(kernel.value) };
    case "contract":
      // A read stays one.
      return { ...kernel, stores, left: moved(kernel.left) as Read, right: moved(kernel.right) as Read };
    case "recur":
      return { ...kernel, stores, a: moved(kernel.a), b: moved(kernel.b) };
    default:
      return kernel satisfies never;
  }
}
