/** Mixers laid open: Q as a dense matrix at some argument, its transpose, factors and bound, for any mixer. */
import {
  array,
  type Concrete,
  type HostTensor,
  key,
  type MapTree,
  random,
  type Tracer,
  treeLeaves,
  treeMap,
} from "@banach/autograd";
import { reference } from "@banach/autograd/reference";
import type { Mixer, MixerArgument } from "../../src/index.ts";
import { argumentSize } from "../../src/mixers/mixer.ts";
import { projectionAt } from "../../src/mixers/projection.ts";

export const device = await reference();

export type Matrix = readonly (readonly number[])[];
export type Params<T> = Readonly<Record<string, T>>;

/** A mixer at one position: its parameters and argument follow from a seed. */
export interface Place {
  readonly channels: number;
  readonly seed: number;
  /** Factor on the parameters: a large one saturates strengths. Default 1. */
  readonly scale?: number;
  /** What biases are; default normal numbers. */
  readonly bias?: number;
  readonly argument?: MixerArgument;
}

export interface Operands {
  readonly params: MapTree<unknown, Tracer, HostTensor>;
  /** x_t and y_{t-1}, [1, D]. */
  readonly x: HostTensor;
  readonly y: HostTensor;
}

/** Parameters with biases that are not 0, and an argument, in float64. */
export function operandsOf(mixer: Mixer, place: Place): Operands {
  const { channels, seed, scale = 1, argument = "concatenated", bias } = place;
  const [init, fill, ...rest] = random.split(key(seed), 4);
  const shape = { channels, argument: argumentSize(argument, channels), dtype: "float64" } as const;
  const initial = mixer.init(init!, shape);
  const params = treeMap<unknown, HostTensor, HostTensor>((leaf, path) => {
    const drawn = random.normal(random.foldIn(fill!, path.length), leaf.shape, { dtype: "float64" });
    if (path.endsWith("bias") && bias !== undefined) return array(drawn.data.fill(bias), { shape: leaf.shape });
    const from = path.endsWith("bias") ? drawn : leaf;
    return array(
      Float64Array.from(from.data as Float64Array, (p) => p * scale),
      { shape: leaf.shape },
    );
  }, initial);
  const [x, y] = rest.map((k) => random.normal(k, [1, channels], { dtype: "float64" }));
  return { params, x: x!, y: y! };
}

/** Q at x_t and y_{t-1}, given as [rows, D]. */
export function mixerAt(mixer: Mixer, params: unknown, x: Tracer, y: Tracer, argument: MixerArgument): unknown {
  const { input, hidden, weights } = mixer.bind(params, x, argument);
  return mixer.at(projectionAt(input, hidden, y), weights);
}

export interface Laid {
  readonly q: Matrix;
  readonly transposed: Matrix;
  /** U V^T, if there are factors. */
  readonly lowRank: Matrix | null;
  readonly bound: number | null;
}

/** Everything that a mixer says about Q at a place. */
export function layOpen(mixer: Mixer, place: Place): Promise<Laid> {
  return layOpenWith(mixer, place, operandsOf(mixer, place));
}

/** The same with other parameters than the place's. */
export async function layOpenWith(mixer: Mixer, place: Place, { params, x, y }: Operands): Promise<Laid> {
  const { channels: d, argument = "concatenated" } = place;
  const run = (p: unknown, a: Tracer, b: Tracer, units: Tracer): Record<string, Tracer> => {
    const q = mixerAt(mixer, p, a.broadcastTo([d, d]), b.broadcastTo([d, d]), argument);
    const factors = mixer.lowRank(q);
    const product = factors?.u.map((u, i) =>
      u.mul(factors.v[i]!.mul(units).sum({ axes: -1, keepDims: true })).broadcastTo([d, d]),
    );
    const bound = mixer.bound(q);
    return {
      q: mixer.apply(q, units),
      transposed: mixer.applyTransposed(q, units),
      ...(product === undefined ? {} : { lowRank: product.reduce((s, t) => s.add(t)) }),
      ...(bound === null ? {} : { bound: bound.broadcastTo([d]) }),
    };
  };
  const result = await device.get(
    await device.run<[unknown, Tracer, Tracer, Tracer], Record<string, Tracer>>(
      run,
      ...([params, x, y, unitVectors(d)] as Concrete<[unknown, Tracer, Tracer, Tracer]>),
    ),
  );
  const { q, transposed, lowRank, bound } = result;
  return {
    q: columns(q!),
    transposed: columns(transposed!),
    lowRank: lowRank === undefined ? null : columns(lowRank),
    bound: bound === undefined ? null : bound.data[0]!,
  };
}

export function unitVectors(size: number): HostTensor {
  return array(identity(size), { dtype: "float64" });
}

export function identity(size: number): number[][] {
  return Array.from({ length: size }, (_, i) => Array.from({ length: size }, (_, j) => (i === j ? 1 : 0)));
}

/** The matrix whose columns are the rows of a tensor: what became of each unit vector. */
function columns(rows: HostTensor): number[][] {
  return transpose(rows.toNested() as number[][]);
}

export function transpose(a: Matrix): number[][] {
  return a.map((_, j) => a.map((row) => row[j]!));
}

export function minus(a: Matrix, b: Matrix): number[][] {
  return a.map((row, i) => row.map((x, j) => x - b[i]![j]!));
}

export function times(a: Matrix, x: readonly number[]): number[] {
  return a.map((row) => row.reduce((s, value, j) => s + value * x[j]!, 0));
}

export function distance(a: Matrix, b: Matrix): number {
  return Math.max(...minus(a, b).flat().map(Math.abs));
}

/** Largest singular value by power iteration on A^T A. */
export function spectralNorm(a: Matrix): number {
  const back = transpose(a);
  let v = a.map((_, i) => 1 + i / 10);
  let size = 0;
  for (let i = 0; i < 500; i++) {
    const w = times(back, times(a, v));
    size = Math.sqrt(Math.hypot(...w) / Math.hypot(...v));
    const length = Math.hypot(...w);
    if (length === 0) return 0;
    v = w.map((x) => x / length);
  }
  return size;
}

/** Numbers of all leaves, in canonical order. */
export function flat(tree: unknown): readonly Float64Array[] {
  return treeLeaves<HostTensor>(tree as never).map(({ leaf }) => Float64Array.from(leaf.data as Float64Array));
}
