/** What every backend checks before it compiles, said in the same words. */
import { ArgumentError, DTypeError } from "../errors.ts";
import { type Equation, type Graph, nestedGraphs } from "../ir/graph.ts";
import { type DType, formatType, type TensorType } from "../ir/tensor-type.ts";
import type { CancelSignal } from "./backend.ts";

/** Throws DTypeError, naming the value, unless the backend computes in every dtype of the graph. */
export function requireDTypes(graph: Graph, label: string, backend: string, dtypes: ReadonlySet<DType>): void {
  const check = (type: TensorType, what: string): void => {
    if (dtypes.has(type.dtype)) return;
    throw new DTypeError(
      `${label}: ${what} is ${formatType(type)}; the ${backend} backend computes in ${[...dtypes].join(", ")}. Convert to float32, or use the reference backend`,
    );
  };
  const visit = ({ inputs, equations, outputs }: Graph): void => {
    for (const { type } of [...inputs, ...outputs]) check(type, "a value");
    equations.forEach((equation: Equation) => {
      for (const { type } of equation.outputs) check(type, `a result of ${equation.primitive}`);
      for (const [, nested] of nestedGraphs(equation)) visit(nested);
    });
  };
  visit(graph);
}

/** Throws ArgumentError for a donated input that does not exist. */
export function requireDonated(donate: readonly number[], { inputs }: Graph, label: string): void {
  for (const index of donate) {
    if (!(index in inputs)) {
      throw new ArgumentError(`${label}: donates input ${index}, but has ${inputs.length} inputs`);
    }
  }
}

/** Throws the signal's reason, or an AbortError, if it was aborted. */
export function requireNotAborted(signal: CancelSignal | undefined): void {
  if (signal?.aborted !== true) return;
  if (signal.reason instanceof Error) throw signal.reason;
  const error = new Error("the compilation was aborted", { cause: signal.reason });
  error.name = "AbortError";
  throw error;
}
