/** Concrete arrays: data that exists already, on the host or on a device, as opposed to values of a graph. */
import type { TensorType } from "./tensor-type.ts";

/** Data of a known type. A traced function may close over it: it becomes an extra input of the graph. */
export interface ConcreteArray {
  readonly type: TensorType;
  /** The brand by which it is recognised. */
  readonly isConcreteArray: true;
}

export function isConcreteArray(value: unknown): value is ConcreteArray {
  return typeof value === "object" && value !== null && "isConcreteArray" in value && value.isConcreteArray === true;
}
