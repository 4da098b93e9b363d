/** Runs functions of tensors on host data, for tests. */
import { eagerly } from "../../src/random/eager.ts";
import type { HostTensor } from "../../src/runtime/host-tensor.ts";
import type { Tracer } from "../../src/trace/tracer.ts";

/** The result of f on host data, interpreted at once. */
export function onHost(f: (...args: Tracer[]) => Tracer, ...args: readonly HostTensor[]): HostTensor {
  return eagerly(f)(...args) as HostTensor;
}

/** The results of f on host data. */
export function allOnHost(
  f: (...args: Tracer[]) => readonly Tracer[],
  ...args: readonly HostTensor[]
): readonly HostTensor[] {
  return eagerly(f)(...args) as unknown as readonly HostTensor[];
}
