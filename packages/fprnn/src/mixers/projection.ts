/** Projections of a mixer's argument as one map, split into the part of x (computed once) and of y (per iteration). */
import { concatenate, nn, type random, type Tensor, type Tracer, zeros } from "@banach/autograd";
import type { MixerArgument } from "./mixer.ts";

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

/** The projections [..., n] at y_{t-1} [..., D]. */
export function projectionAt(input: Tracer, hidden: Tracer | null, previous: Tracer): Tracer {
  return hidden === null ? input : input.add(times(previous, hidden));
}

/** x [..., in] times the transpose of weight [out, in]. */
export function times(x: Tracer, weight: Tracer): Tracer {
  return x.dotGeneral(weight, { contracting: [[x.rank - 1], [1]] });
}
