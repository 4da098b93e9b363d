/** Projections of a mixer's argument, split into the part of the input (computed once) and the part of y (per iteration). */
import { nn, type random, type Tensor, type Tracer } from "@banach/autograd";
import type { MixerArgument } from "./mixer.ts";

/** One weight-normalised map, or two in a row without a nonlinearity: a low-rank one. */
export type ProjectionParams<T> =
  nn.WeightNormLinearParams<T> | readonly [nn.WeightNormLinearParams<T>, nn.WeightNormLinearParams<T>];

/** What y_{t-1} meets: its own weights (absent when the argument is the input alone) and the second map, if any. */
export interface ProjectionWeights {
  readonly hidden: Tracer | null;
  readonly outer: Tracer | null;
}

/** The projection of an argument [..., P] as (input part) + y_{t-1} W^T, then the outer map. */
export interface BoundProjection {
  readonly input: Tracer;
  readonly weights: ProjectionWeights;
}

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

/** Applies the projection to the input part x [..., D], and keeps what y will need. */
export function bindProjection(params: ProjectionParams<Tracer>, x: Tracer, argument: MixerArgument): BoundProjection {
  const [inner, outer] = "v" in params ? [params, undefined] : params;
  const weight = nn.weightNormLinear.weight(inner);
  const [own, hidden] = splitWeight(weight, argument);
  const input = x.dotGeneral(own, { contracting: [[x.rank - 1], [1]] });
  return {
    input: inner.bias === undefined ? input : input.add(inner.bias),
    weights: { hidden, outer: outer === undefined ? null : nn.weightNormLinear.weight(outer) },
  };
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

/** The projection at y_{t-1} [..., D]. */
export function project(input: Tracer, { hidden, outer }: ProjectionWeights, previous: Tracer): Tracer {
  const times = (x: Tracer, weight: Tracer): Tracer => x.dotGeneral(weight, { contracting: [[x.rank - 1], [1]] });
  const inner = hidden === null ? input : input.add(times(previous, hidden));
  return outer === null ? inner : times(inner, outer);
}
