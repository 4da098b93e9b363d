/** The Householder mixer: a product of r generalised reflections, each along its own direction. */
import type { Tracer } from "@banach/autograd";
import {
  along,
  pairsOf,
  type ReflectionMixer,
  type ReflectionOptions,
  type ReflectionParams,
  reflections,
} from "./reflections.ts";

export type HouseholderOptions = ReflectionOptions;
export type HouseholderParams<T> = ReflectionParams<T>;
export type HouseholderMixer = ReflectionMixer;

type Reflection = ReturnType<typeof pairsOf>[number];

/** (I - s u u^T) x. */
const reflect = (x: Tracer, { u, s }: Reflection): Tracer => x.sub(u.mul(along(u, x).mul(s)));

/**
 * Q = H_{r-1} ... H_0 with H_i = I - gain alpha_i u_i u_i^T, u_i = l2normalize(activation(u_proj(p))_i) and
 * alpha_i = sigmoid(alpha_proj(p))_i. Q lengthens nothing. With gain 1 and rank 1 the norm of I - Q is alpha < 1; with
 * gain 1 and rank r it is below 2r / (r + 1), with gain 2 below 2. Throws ArgumentError for an option outside its domain.
 */
export function householder(options: HouseholderOptions = {}): HouseholderMixer {
  return {
    ...reflections("householder", options),
    apply: (q, x) => pairsOf(q).reduce(reflect, x),
    applyTransposed: (q, x) => pairsOf(q).reduceRight(reflect, x),
    // H_k (I - U V^T) = I - U V^T - s_k u_k (Q_k^T u_k)^T with Q_k = H_{k-1} ... H_0: a pair more for each reflection
    // (C. Bischof and C. Van Loan, "The WY representation for products of Householder matrices", 1987).
    lowRank: (q) => {
      const pairs = pairsOf(q);
      return {
        u: pairs.map(({ u }) => u),
        v: pairs.map(({ u, s }, k) => pairs.slice(0, k).reduceRight(reflect, u).mul(s)),
      };
    },
    // H_i is averaged with constant s_i / 2: it is (1 - s_i / 2) I + (s_i / 2) N, with N a reflection. Products of averaged
    // maps are averaged with the constant a = 1 / (1 + 1 / sum_i a_i / (1 - a_i)), and so the norm of I - Q = a (I - N') is
    // 2a at most (P. Combettes and I. Yamada, "Compositions and convex combinations of averaged nonexpansive operators",
    // 2015, proposition 2.5). At rank 1 this is s, which is exact.
    bound: (q) => {
      const ratios = q.strengths.map((s) => s.div(s.neg().add(2)));
      const total = ratios.reduce((a, b) => a.add(b));
      return total.reciprocal().add(1).reciprocal().mul(2).squeeze(-1);
    },
  };
}
