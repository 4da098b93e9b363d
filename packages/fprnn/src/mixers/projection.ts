/** Projections of a mixer's argument as one map, split into the part of x (computed once) and of y (per iteration). */
import { concatenate, nn, random, type Tensor, type Tracer, zeros } from "@banach/autograd";
import type { BoundMixer, MixerArgument, MixerShape } from "./mixer.ts";
import type { Activation } from "./options.ts";

/** One weight-normalised map, or two in a row without a nonlinearity: a low-rank one. */
export type ProjectionParams<T> =
  nn.WeightNormLinearParams<T> | readonly [nn.WeightNormLinearParams<T>, nn.WeightNormLinearParams<T>];

export interface ProjectionInit {
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly bias: boolean;
  /** Rank of the product of two maps; absent for a single one. */
  readonly rank?: number;
  readonly dtype?: random.RandomDType;
}

export function initProjection<K extends Tensor>(
  key: K,
  keys: readonly K[],
  init: ProjectionInit,
): ProjectionParams<K> {
  const { rank, ...shape } = init;
  if (rank === undefined) return nn.weightNormLinear.init(key, shape);
  const [inner = key, outer = key] = keys;
  return [
    nn.weightNormLinear.init(inner, { ...shape, outFeatures: rank, bias: false }),
    nn.weightNormLinear.init(outer, { ...shape, inFeatures: rank }),
  ];
}

/** The first map of a projection, the one that the argument meets. */
export function innerOf(params: ProjectionParams<Tracer>): nn.WeightNormLinearParams<Tracer> {
  return "v" in params ? params : params[0];
}

/** How many numbers a projection gives. */
export function valuesOf(params: ProjectionParams<Tracer>): number {
  return ("v" in params ? params : params[1]).v.dim(0);
}

/** The weight of the second map of a low-rank projection, [out, rank], or null. */
export function outerWeight(params: ProjectionParams<Tracer>): Tracer | null {
  return "v" in params ? null : nn.weightNormLinear.weight(params[1]);
}

/**
 * Several maps [n_i, P] of one argument as a single one, their results side by side: applied to the input part x [..., D]
 * with the biases added, and the matrix [n_1 + n_2 + ..., D] that y_{t-1} will meet.
 */
export function bindProjections(
  maps: readonly nn.WeightNormLinearParams<Tracer>[],
  x: Tracer,
  argument: MixerArgument,
): { readonly input: Tracer; readonly hidden: Tracer | null } {
  const weight = concatenate(
    maps.map((map) => nn.weightNormLinear.weight(map)),
    0,
  );
  const biases = maps.map(({ bias, v }) => bias ?? zeros([v.dim(0)], v.dtype));
  const [own, hidden] = splitWeight(weight, argument);
  return { input: times(x, own).add(concatenate(biases, 0)), hidden };
}

/** The columns that meet x and those that meet y_{t-1}; where the argument is their sum, the same ones. */
function splitWeight(weight: Tracer, argument: MixerArgument): readonly [Tracer, Tracer | null] {
  switch (argument) {
    case "concatenated": {
      const half = weight.dim(1) / 2;
      return [weight.sliceAxis(1, 0, half), weight.sliceAxis(1, half, weight.dim(1))];
    }
    case "symmetric":
      return [weight, weight];
    case "input":
      return [weight, null];
    default:
      return argument satisfies never;
  }
}

/** What `at` needs besides the projections. */
export interface SelectiveWeights {
  /** The second map of the values, [number of values, projectionRank], or null without a bottleneck. */
  readonly outer: Tracer | null;
}

/** Numbers that a matrix is made of, and the logits of strengths in (0, 1). */
export interface SelectiveSizes {
  readonly values: number;
  readonly strengths: number;
}

/** The maps of a selective mixer: values without a bias, perhaps through a bottleneck, and strengths with one. */
export function initSelective<K extends Tensor>(
  key: K,
  { argument, dtype = "float32" }: MixerShape,
  sizes: SelectiveSizes,
  projectionRank: number | undefined,
): { readonly values: ProjectionParams<K>; readonly strengths: nn.WeightNormLinearParams<K> } {
  const [first = key, second = key, ...bottleneck] = random.split(key, 4);
  const shape = { inFeatures: argument, dtype };
  const values = { ...shape, outFeatures: sizes.values, bias: false };
  return {
    values: initProjection(
      first,
      bottleneck,
      projectionRank === undefined ? values : { ...values, rank: projectionRank },
    ),
    strengths: nn.weightNormLinear.init(second, { ...shape, outFeatures: sizes.strengths, bias: true }),
  };
}

/** Both maps of a selective mixer as one: its projections are those of the values, then those of the strengths. */
export function bindSelective(
  values: ProjectionParams<Tracer>,
  strengths: nn.WeightNormLinearParams<Tracer>,
  x: Tracer,
  argument: MixerArgument,
): BoundMixer<SelectiveWeights> {
  return {
    ...bindProjections([innerOf(values), strengths], x, argument),
    weights: { outer: outerWeight(values) },
  };
}

/** The values after the activation, and the strengths in (0, 1), of which there are `count`. */
export function readSelective(
  projection: Tracer,
  { outer }: SelectiveWeights,
  count: number,
  activation: Activation,
): { readonly values: Tracer; readonly strengths: Tracer } {
  const size = projection.dim(-1) - count;
  const inner = projection.sliceAxis(-1, 0, size);
  const values = outer === null ? inner : times(inner, outer);
  return {
    values: activation === "silu" ? nn.silu(values) : values,
    strengths: projection.sliceAxis(-1, size, size + count).logistic(),
  };
}

/**
 * Sizes that `at` has to know, as the leading axes of a tensor without elements: weights are a tree of tensors, which has
 * no room for numbers.
 */
export function sizesAsShape(sizes: readonly number[], dtype: Tracer["dtype"]): Tracer {
  return zeros([...sizes, 0], dtype);
}

/** The projections [..., n] at y_{t-1} [..., D]. */
export function projectionAt(input: Tracer, hidden: Tracer | null, previous: Tracer): Tracer {
  return hidden === null ? input : input.add(times(previous, hidden));
}

/** x [..., in] times the transpose of weight [out, in]. */
export function times(x: Tracer, weight: Tracer): Tracer {
  return x.dotGeneral(weight, { contracting: [[x.rank - 1], [1]] });
}
