/** Inner products and norms over lists of arrays, skipping what is masked. */
import type { HostArray } from "../../ir/tensor-type.ts";

export type Vectors = readonly HostArray[];

/** Sum of the products; a product with a zero is zero, whatever the other factor. */
export function dot(a: Vectors, b: Vectors): number {
  let sum = 0;
  a.forEach((x, k) => {
    const y = b[k];
    for (let i = 0; i < x.length; i++) {
      const [p, q] = [x[i] ?? 0, y?.[i] ?? 0];
      if (p !== 0 && q !== 0) sum += p * q;
    }
  });
  return sum;
}

export const norm = (a: Vectors): number => Math.sqrt(dot(a, a));

export const sizeOfAll = (a: Vectors): number => a.reduce((n, x) => n + x.length, 0);

export function largest(a: Vectors): number {
  let most = 0;
  // Math.max keeps a NaN.
  for (const x of a) for (let i = 0; i < x.length; i++) most = Math.max(most, Math.abs(x[i] ?? 0));
  return most;
}

/** Largest difference relative to the largest element; 0 if both are zero; NaN if either has one. */
export function relativeError(actual: Vectors, expected: Vectors): number {
  const scale = Math.max(largest(actual), largest(expected));
  if (scale === 0) return 0;
  const differences = actual.map((x, k) => Float64Array.from(x, (p, i) => p - (expected[k]?.[i] ?? NaN)));
  return largest(differences) / scale;
}
