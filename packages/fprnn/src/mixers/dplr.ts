/** The DPLR mixer (diagonal plus low rank): the identity minus a sum of r projections, each along its own direction. */
import type { Tracer } from "@banach/autograd";
import {
  along,
  pairsOf,
  type ReflectionMixer,
  type ReflectionOptions,
  type ReflectionParams,
  type Reflections,
  reflections,
} from "./reflections.ts";

export type DplrOptions = ReflectionOptions;
export type DplrParams<T> = ReflectionParams<T>;
export type DplrMixer = ReflectionMixer;

/**
 * Q x = x - gain sum_i alpha_i u_i (u_i . x), with u_i and alpha_i as in `householder`, which it is at rank 1. Q is
 * symmetric, and the norm of I - Q is at most gain sum_i alpha_i: with gain 1 it is below 1 at rank 1, and can be anything
 * up to r where directions agree. Throws ArgumentError for an option outside its domain.
 */
export function dplr(options: DplrOptions = {}): DplrMixer {
  return {
    ...reflections("dplr", options),
    apply: project,
    applyTransposed: project,
    lowRank: (q) => {
      const pairs = pairsOf(q);
      return { u: pairs.map(({ u }) => u), v: pairs.map(({ u, s }) => u.mul(s)) };
    },
    // I - Q = U S U^T has the eigenvalues of S U^T U, which no column sum of it is below (Gershgorin). As |u_i . u_j| <= 1
    // that is at most the sum of the strengths, and the largest of them where the directions are orthogonal.
    bound: (q) => {
      const pairs = pairsOf(q);
      const sums = pairs.map(({ u: uj }) =>
        pairs.map(({ u, s }) => along(u, uj).abs().mul(s)).reduce((a, b) => a.add(b)),
      );
      return sums.reduce((a, b) => a.maximum(b)).squeeze(-1);
    },
  };
}

function project(q: Reflections, x: Tracer): Tracer {
  return pairsOf(q).reduce((y, { u, s }) => y.sub(u.mul(along(u, x).mul(s))), x);
}
