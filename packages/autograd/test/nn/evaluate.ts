/** Evaluates traced functions on float64 data, for tests against independent formulas. */
import { eagerly } from "../../src/random/eager.ts";
import { normal } from "../../src/random/distributions.ts";
import { key } from "../../src/random/key.ts";
import { type HostTensor, hostTensor } from "../../src/runtime/host-tensor.ts";
import type { Shape } from "../../src/ir/tensor-type.ts";
import type { Tracer } from "../../src/trace/tracer.ts";

/** f of some tensors, evaluated. */
export function evaluate(f: (...args: readonly Tracer[]) => Tracer, ...args: readonly HostTensor[]): HostTensor {
  return eagerly((...xs: readonly Tracer[]) => f(...xs))(...args) as HostTensor;
}

/** float64 numbers from a fixed seed. */
export function randn(seed: number, shape: Shape): HostTensor {
  return normal(key(seed), shape, { dtype: "float64" });
}

export function f64(shape: Shape, values: readonly number[]): HostTensor {
  return hostTensor({ dtype: "float64", shape }, Float64Array.from(values));
}

/** The largest difference, relative to the largest expected number (at least 1e-300). */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Infinity;
  let [error, size] = [0, 1e-300];
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(actual[i]! - expected[i]!);
    error = Number.isNaN(difference) ? Infinity : Math.max(error, difference);
    size = Math.max(size, Math.abs(expected[i]!));
  }
  return error / size;
}

/** Consecutive pieces of `size` elements. */
export function rowsOf(x: HostTensor, size: number): number[][] {
  return Array.from({ length: x.data.length / size }, (_, i) => Array.from(x.data.slice(i * size, (i + 1) * size)));
}
