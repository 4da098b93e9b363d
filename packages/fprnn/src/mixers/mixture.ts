/** A mixture of mixers: their convex combination, with weights from the argument. */
import {
  ArgumentError,
  concatenate,
  type MapTree,
  nn,
  random,
  type Tensor,
  type Tracer,
  zeros,
} from "@banach/autograd";
import type { BoundMixer, Mixer, MixerArgument, MixerParams, MixerShape } from "./mixer.ts";
import { bindProjections, sizesAsShape } from "./projection.ts";

export interface MixtureOptions<M extends readonly Mixer[]> {
  /** The mixers, one at least. Each has its own options, the gain among them. */
  readonly experts: M;
}

/** gate [number of experts, P] with a bias gives the logits of the weights. */
export interface MixtureParams<T, P = readonly unknown[]> {
  readonly gate: nn.WeightNormLinearParams<T>;
  /** One per expert. */
  readonly experts: P;
}

export interface MixtureWeights {
  /** One per expert. */
  readonly experts: readonly unknown[];
  /** How many projections each expert has, as the shape [n_1, n_2, ..., 0]. */
  readonly sizes: Tracer;
}

/** The weights, [..., 1] each, and the matrices of the experts. */
export interface WeightedMixers {
  readonly weights: readonly Tracer[];
  readonly experts: readonly unknown[];
}

export type MixtureMixer<M extends readonly Mixer[]> = Mixer<
  MixtureParams<Tracer, { readonly [I in keyof M]: MixerParams<M[I]> }>,
  MixtureWeights,
  WeightedMixers
>;

/**
 * Q = sum_k w_k Q_k with w = softmax(gate(p)). The norm of I - Q is at most the mean of the experts' norms by the same
 * weights, so that a mixture of mixers that contract does. (The code of arXiv 2503.10799 calls a product of mixers a
 * mixture.) Throws ArgumentError unless there is an expert.
 */
export function mixture<const M extends readonly Mixer[]>({ experts }: MixtureOptions<M>): MixtureMixer<M> {
  const mixers: readonly Mixer[] = experts;
  if (mixers.length === 0) throw new ArgumentError("mixture: experts is empty; give one mixer at least");
  const count = mixers.length;
  return {
    name: `mixture(${mixers.map(({ name }) => name).join(", ")})`,
    init: <K extends Tensor>(key: K, shape: MixerShape) => {
      const [first = key, ...keys] = random.split(key, count + 1);
      const { argument: inFeatures, dtype = "float32" } = shape;
      return {
        gate: nn.weightNormLinear.init(first, { inFeatures, outFeatures: count, bias: true, dtype }),
        experts: mixers.map((mixer, k) => mixer.init(keys[k] ?? key, shape)),
      } as unknown as MapTree<Parameters<MixtureMixer<M>["bind"]>[0], Tracer, K>;
    },
    bind: ({ gate, experts: params }, x, argument) => {
      const bound = mixers.map((mixer, k) => mixer.bind(params[k], x, argument));
      const sizes = bound.map(({ input }) => input.dim(-1));
      return {
        ...joined([...bound, bindProjections([gate], x, argument)], x.dim(-1), argument),
        weights: { experts: bound.map(({ weights }) => weights), sizes: sizesAsShape(sizes, x.dtype) },
      };
    },
    at: (projection, weights) => {
      const parts = projection.split([...weights.sizes.shape.slice(0, -1), count], -1);
      const part = (k: number): Tracer => parts[k] ?? projection;
      const w = nn.softmax(part(count));
      return {
        weights: mixers.map((_, k) => w.sliceAxis(-1, k, k + 1)),
        experts: mixers.map((mixer, k) => mixer.at(part(k), weights.experts[k])),
      };
    },
    apply: (q, x) => weighted(q, (k) => mixers[k]?.apply(q.experts[k], x)),
    applyTransposed: (q, x) => weighted(q, (k) => mixers[k]?.applyTransposed(q.experts[k], x)),
    lowRank: (q) => {
      const factors = mixers.map((mixer, k) => mixer.lowRank(q.experts[k]));
      if (!factors.every((pair) => pair !== null)) return null;
      return {
        u: factors.flatMap(({ u }, k) => u.map((vector) => vector.mul(q.weights[k] ?? 0))),
        v: factors.flatMap(({ v }) => v),
      };
    },
    bound: (q) => {
      const bounds = mixers.map((mixer, k) => mixer.bound(q.experts[k]));
      if (!bounds.every((bound) => bound !== null)) return null;
      return bounds.map((bound, k) => bound.mul(q.weights[k]?.squeeze(-1) ?? 0)).reduce((a, b) => a.add(b));
    },
  };
}

/** sum_k w_k x_k. */
function weighted({ weights }: WeightedMixers, term: (k: number) => Tracer | undefined): Tracer {
  return weights.map((w, k) => w.mul(term(k) ?? 0)).reduce((a, b) => a.add(b));
}

/** The projections side by side; what an expert does not take from y_{t-1} has zeros in the matrix that y meets. */
function joined(
  parts: readonly Pick<BoundMixer<unknown>, "input" | "hidden">[],
  channels: number,
  argument: MixerArgument,
): Pick<BoundMixer<unknown>, "input" | "hidden"> {
  const some = parts.filter(({ input }) => input.dim(-1) > 0);
  const input = concatenate(
    some.map((part) => part.input),
    -1,
  );
  if (argument === "input") return { input, hidden: null };
  const hidden = some.map((part) => part.hidden ?? zeros([part.input.dim(-1), channels], part.input.dtype));
  return { input, hidden: concatenate(hidden, 0) };
}
