/** Data for samples: a deterministic function of (seed, stream, type, domain), so that a failure is named by a few numbers. */
import { threefryBits } from "../random/threefry.ts";
import { allocateHost, formatType, type HostArray, isFloat, sizeOf, type TensorType } from "../ir/tensor-type.ts";

/** Where the elements of an input lie. */
export type Domain =
  /** Standard normals times `scale`. */
  | { readonly kind: "normal"; readonly scale: number }
  | { readonly kind: "uniform"; readonly low: number; readonly high: number }
  /** Integers from `low` to `high`, both included. */
  | { readonly kind: "integers"; readonly low: number; readonly high: number }
  /** An integer from -4 to 4, plus `offset`, plus up to 0.2: keeps a known distance from kinks and from other offsets. */
  | { readonly kind: "lattice"; readonly offset: number }
  /** Distinct values at least 0.5 apart, in random order: no ties, also after small steps. */
  | { readonly kind: "distinct" }
  /** The given values, repeated in order. */
  | { readonly kind: "values"; readonly values: readonly number[] };

export const normal = (scale = 1): Domain => ({ kind: "normal", scale });
export const uniform = (low: number, high: number): Domain => ({ kind: "uniform", low, high });
export const integers = (low: number, high: number): Domain => ({ kind: "integers", low, high });
export const lattice = (offset: number): Domain => ({ kind: "lattice", offset });
export const distinct: Domain = { kind: "distinct" };
export const values = (...list: readonly number[]): Domain => ({ kind: "values", values: list });

/** `count` numbers in (0, 1), of 32 random bits each. */
export function uniforms(seed: number, stream: number, count: number): Float64Array {
  return Float64Array.from(threefryBits(seed >>> 0, stream >>> 0, count), (word) => (word + 0.5) / 2 ** 32);
}

/** `count` standard normals (Box-Muller). */
export function normals(seed: number, stream: number, count: number): Float64Array {
  const u = uniforms(seed, stream, 2 * count);
  return Float64Array.from(
    { length: count },
    (_, i) => Math.sqrt(-2 * Math.log(u[2 * i] ?? 0.5)) * Math.cos(2 * Math.PI * (u[2 * i + 1] ?? 0)),
  );
}

/** A permutation of 0 ... count - 1. */
export function permutation(seed: number, stream: number, count: number): number[] {
  const u = uniforms(seed, stream, count);
  return Array.from({ length: count }, (_, i) => i).sort((a, b) => (u[a] ?? 0) - (u[b] ?? 0));
}

/** The elements of one input. Integers and bools are rounded down to what their type holds. */
export function generate(type: TensorType, domain: Domain, seed: number, stream: number): HostArray {
  const data = allocateHost(type.dtype, sizeOf(type.shape));
  const floats = elements(domain, seed, stream, data.length);
  if (!isFloat(type.dtype) && floats.some((x) => !Number.isInteger(x))) {
    throw new RangeError(`generate: the domain ${domain.kind} has fractions, which ${formatType(type)} cannot hold`);
  }
  data.set(floats);
  return data;
}

function elements(domain: Domain, seed: number, stream: number, count: number): Float64Array {
  switch (domain.kind) {
    case "normal":
      return normals(seed, stream, count).map((z) => z * domain.scale);
    case "uniform":
      return uniforms(seed, stream, count).map((u) => domain.low + (domain.high - domain.low) * u);
    case "integers":
      return uniforms(seed, stream, count).map((u) => domain.low + Math.floor((domain.high - domain.low + 1) * u));
    case "lattice": {
      const u = uniforms(seed, stream, 2 * count);
      return Float64Array.from(
        { length: count },
        (_, i) => Math.floor(9 * (u[2 * i] ?? 0)) - 4 + domain.offset + 0.2 * (u[2 * i + 1] ?? 0),
      );
    }
    case "distinct": {
      const u = uniforms(seed, stream + 0x1000, count);
      const order = permutation(seed, stream, count);
      return Float64Array.from(order, (rank, i) => 0.75 * (rank - count / 2) + 0.25 * (u[i] ?? 0));
    }
    case "values":
      return Float64Array.from({ length: count }, (_, i) => domain.values[i % domain.values.length] ?? 0);
    default:
      return domain satisfies never;
  }
}
