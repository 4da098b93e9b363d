/** Fixtures: JSON files of numbers from an independent float64 implementation, and the comparison with ours. */
import { array, type Device, type HostTensor } from "@banach/autograd";
import type { Tolerances } from "../../src/index.ts";

export interface FixtureTensor {
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

/** A parsed fixture file; kinds know which keys they have. */
export type Fixture = Readonly<Record<string, unknown>> & { readonly kind?: string };

export type Tensors = Readonly<Record<string, FixtureTensor>>;

/** A tensor that was compared: its largest error, over the largest entry of the expected one. */
export interface Comparison {
  readonly what: string;
  readonly error: number;
  /** What was computed; null if the fixture has a tensor that we do not. */
  readonly actual: HostTensor | null;
}

export type FloatType = "float32" | "float64";

/** Where a fixture is computed, and how precisely. */
export interface Setting {
  readonly device: Device;
  readonly dtype: FloatType;
  /** Tolerances of solvers whose result is compared with the fixed point itself. */
  readonly exact: Tolerances;
}

export function toHost({ shape, data }: FixtureTensor, dtype: FloatType): HostTensor {
  return array(Float64Array.from(data), { shape, dtype });
}

/** `{ "mixer.u_proj.v": t, ... }` to nested objects; keys that count up from 0 become arrays. */
export function nest(tensors: Readonly<Record<string, HostTensor>>): unknown {
  const root: Record<string, unknown> = {};
  for (const [path, tensor] of Object.entries(tensors)) {
    const keys = path.split(".");
    let node = root;
    for (const key of keys.slice(0, -1)) node = (node[key] ??= {}) as Record<string, unknown>;
    node[keys.at(-1)!] = tensor;
  }
  return withArrays(root);
}

function withArrays(node: unknown): unknown {
  if (typeof node !== "object" || node === null || Object.getPrototypeOf(node) !== Object.prototype) return node;
  const entries = Object.entries(node).map(([key, child]) => [key, withArrays(child)] as const);
  const isList = entries.length > 0 && entries.every(([key], i) => key === String(i));
  return isList ? entries.map(([, child]) => child) : Object.fromEntries(entries);
}

export function hostTensors(tensors: Tensors, dtype: FloatType): Record<string, HostTensor> {
  return Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, toHost(tensor, dtype)]));
}

/** Largest |actual - expected| over the largest |expected|; infinite for another shape or a NaN. */
export function compare(what: string, actual: HostTensor, expected: FixtureTensor | number): Comparison {
  const wanted = typeof expected === "number" ? { shape: [], data: [expected] } : expected;
  if (actual.shape.join() !== wanted.shape.join())
    return { what: `${what} (shape ${actual.shape.join()})`, error: Infinity, actual };
  let worst = 0;
  let scale = 0;
  wanted.data.forEach((x, i) => {
    const difference = Math.abs(actual.data[i]! - x);
    worst = Number.isNaN(difference) ? Infinity : Math.max(worst, difference);
    scale = Math.max(scale, Math.abs(x));
  });
  return { what, error: worst / Math.max(scale, 1e-300), actual };
}

/** Compares a tree of tensors with named ones; a name on either side only is an infinite error. */
export function compareAll(
  what: string,
  actual: readonly { readonly path: string; readonly leaf: HostTensor }[],
  expected: Tensors,
): Comparison[] {
  const found = new Map(actual.map(({ path, leaf }) => [path, leaf]));
  const names = new Set([...found.keys(), ...Object.keys(expected)]);
  return [...names].map((name) => {
    const [a, e] = [found.get(name), expected[name]];
    if (a && e) return compare(`${what} ${name}`, a, e);
    return { what: `${what} ${name} (on one side only)`, error: Infinity, actual: a ?? null };
  });
}
