/** What the Householder and the DPLR mixer have in common: r unit directions and their strengths, taken from the argument. */
import { ArgumentError, nn, type Tracer } from "@banach/autograd";
import { requirePositiveInteger } from "../options.ts";
import type { Mixer } from "./mixer.ts";
import { type SelectiveOptions, selectiveOptions } from "./options.ts";
import {
  bindSelective,
  initSelective,
  type ProjectionParams,
  readSelective,
  type SelectiveWeights,
  valuesOf,
} from "./projection.ts";

export interface ReflectionOptions extends SelectiveOptions {
  /** Number of directions r; default 1. */
  readonly rank?: number;
}

/** u_proj [r * D, P] gives the directions, the rank index slow; alpha_proj [r, P] with a bias their strengths. */
export interface ReflectionParams<T> {
  readonly u_proj: ProjectionParams<T>;
  readonly alpha_proj: nn.WeightNormLinearParams<T>;
}

/** Unit directions u_i [..., D] and strengths s_i = gain * alpha_i [..., 1], one of each per unit of rank. */
export interface Reflections {
  readonly directions: readonly Tracer[];
  readonly strengths: readonly Tracer[];
}

export type ReflectionMixer = Mixer<ReflectionParams<Tracer>, SelectiveWeights, Reflections>;

/**
 * The part of a mixer that makes u_i = l2normalize(activation(u_proj(p))_i) and s_i = gain sigmoid(alpha_proj(p))_i.
 * Throws ArgumentError, naming the mixer, for an option outside its domain, and in bind for parameters of another rank.
 */
export function reflections(
  mixer: string,
  options: ReflectionOptions,
): Pick<ReflectionMixer, "name" | "init" | "bind" | "at"> {
  const { rank = 1 } = options;
  requirePositiveInteger(`${mixer}: rank`, rank);
  const { gain, activation, projectionRank, eps } = selectiveOptions(mixer, options);
  return {
    name: `${mixer}(${rank})`,
    init: (key, shape) => {
      const sizes = { values: rank * shape.channels, strengths: rank };
      const { values, strengths } = initSelective(key, shape, sizes, projectionRank);
      return { u_proj: values, alpha_proj: strengths };
    },
    bind: (params, x, argument) => {
      requireRank(mixer, params, rank, argument === "input" ? null : x.dim(-1));
      return bindSelective(params.u_proj, params.alpha_proj, x, argument);
    },
    at: (projection, weights) => {
      const { values, strengths } = readSelective(projection, weights, rank, activation);
      const u = nn.l2Normalize(values.reshape([...values.shape.slice(0, -1), rank, values.dim(-1) / rank]), { eps });
      const scaled = strengths.mul(gain);
      const each = Array.from({ length: rank }, (_, i) => i);
      return {
        directions: each.map((i) => u.index(-2, i)),
        strengths: each.map((i) => scaled.sliceAxis(-1, i, i + 1)),
      };
    },
  };
}

/**
 * Throws ArgumentError, naming the mixer, unless the parameters are those of `rank` directions of D channels: those of
 * another rank may have just as many numbers, and would be cut in the wrong places. D is null where the argument alone,
 * which has no part of y, does not tell it.
 */
function requireRank(
  mixer: string,
  { u_proj, alpha_proj }: ReflectionParams<Tracer>,
  rank: number,
  known: number | null,
): void {
  const [strengths, values] = [alpha_proj.v.dim(0), valuesOf(u_proj)];
  const channels = known ?? Math.floor(values / strengths);
  if (strengths === rank && values === rank * channels) return;
  throw new ArgumentError(
    `${mixer}: the parameters have ${strengths} strengths and ${values} values, rank ${rank} of ${channels} channels needs ${rank} and ${rank * channels}; give the rank that init was given`,
  );
}

/** u and s side by side. */
export function pairsOf({ directions, strengths }: Reflections): readonly { readonly u: Tracer; readonly s: Tracer }[] {
  return directions.flatMap((u, i) => {
    const s = strengths[i];
    return s === undefined ? [] : [{ u, s }];
  });
}

/** u . x over the last axis, which stays behind with size 1. */
export function along(u: Tracer, x: Tracer): Tracer {
  return u.mul(x).sum({ axes: -1, keepDims: true });
}
