/** The language model around sequence layers: embedding, pre-norm residual blocks, final norm, tied head. */
import {
  ArgumentError,
  eagerly,
  formatType,
  type MapTree,
  nn,
  random,
  ShapeError,
  type Tensor,
  type Tracer,
} from "@banach/autograd";
import type { Layer, LayerStats } from "../layers/layer.ts";
import type { Tolerances } from "../solvers/index.ts";

export interface LanguageModelOptions<P, S, Stats extends LayerStats = LayerStats> {
  /** Number of tokens. */
  readonly vocabulary: number;
  readonly dModel: number;
  readonly layers: readonly Layer<P, S, Stats>[];
  /** Of the wrapper's own norms; default 1e-5. */
  readonly eps?: number;
  readonly dtype?: random.RandomDType;
}

/** Names are those of the authors' checkpoints. */
export interface LanguageModelParams<T, P = unknown> {
  /** [vocabulary, dModel], also the head. */
  readonly embedding: nn.EmbeddingParams<T>;
  readonly blocks: readonly P[];
  /** One per block, [dModel]. */
  readonly norms: readonly nn.NormParams<T>[];
  readonly norm_f: nn.NormParams<T>;
}

export interface LanguageModelResult<S, Stats extends LayerStats = LayerStats> {
  /** [batch, time, vocabulary]. */
  readonly logits: Tracer;
  /** One per layer. */
  readonly state: readonly S[];
  /** One per layer. */
  readonly stats: readonly Stats[];
}

export interface LanguageModel<P = unknown, S = unknown, Stats extends LayerStats = LayerStats> {
  readonly vocabulary: number;
  init<K extends Tensor>(key: K): MapTree<LanguageModelParams<Tracer, P>, Tracer, K>;
  /** ids int32[batch, time]; an id outside the vocabulary gives NaN. `state` goes on from an earlier piece. */
  apply(
    params: LanguageModelParams<Tracer, P>,
    ids: Tracer,
    state?: readonly S[],
    tolerances?: Partial<Tolerances>,
  ): LanguageModelResult<S, Stats>;
}

/**
 * h = E[ids]; for each layer h <- h + layer(RMSNorm(h)); logits = RMSNorm(h) E^T. Embeddings are normal with standard
 * deviation 0.02, norms 1; layers are told how many there are (see LayerInit). Throws ArgumentError if a layer's width is not dModel.
 */
export function languageModel<P, S, Stats extends LayerStats = LayerStats>(
  options: LanguageModelOptions<P, S, Stats>,
): LanguageModel<P, S, Stats> {
  const { vocabulary, dModel, layers, eps = 1e-5, dtype = "float32" } = options;
  layers.forEach((layer, i) => {
    if (layer.dModel !== dModel) {
      throw new ArgumentError(
        `languageModel: layer ${i} (${layer.name}) has dModel ${layer.dModel}, the model ${dModel}`,
      );
    }
  });
  if (!Number.isSafeInteger(vocabulary) || vocabulary < 1) {
    throw new ArgumentError(`languageModel: vocabulary must be a positive integer, got ${vocabulary}`);
  }
  const create = (key: Tracer): LanguageModelParams<Tracer, P> => {
    const [embed = key, ...blocks] = random.split(key, layers.length + 1);
    const norm = (): nn.NormParams<Tracer> => nn.initNorm<Tracer>({ features: dModel, dtype });
    return {
      embedding: nn.embedding.init(embed, { vocabulary, features: dModel, dtype }),
      // Inside a trace the leaves of the key are tracers, and so are those of the parameters.
      blocks: layers.map((layer, i) => layer.init(blocks[i] ?? key, { depth: layers.length }) as P),
      norms: layers.map(norm),
      norm_f: norm(),
    };
  };
  return {
    vocabulary,
    init: <K extends Tensor>(key: K) =>
      eagerly(create)(key) as unknown as MapTree<LanguageModelParams<Tracer, P>, Tracer, K>,
    apply: (params, ids, state, tolerances) => {
      if (ids.rank !== 2)
        throw new ShapeError(`languageModel: ids must be int32[batch, time], got ${formatType(ids.type)}`);
      let hidden = nn.embedding.apply(params.embedding, ids);
      const results = layers.map((layer, i) => {
        const block = params.blocks[i];
        if (block === undefined) throw new ShapeError(`languageModel: no parameters for layer ${i}`);
        const result = layer.apply(block, norm(hidden, params.norms[i], eps), state?.[i], tolerances);
        hidden = hidden.add(result.y);
        return result;
      });
      return {
        logits: nn.embedding.attend(params.embedding, norm(hidden, params.norm_f, eps)),
        state: results.map((result) => result.state),
        stats: results.map((result) => result.stats),
      };
    },
  };
}

function norm(x: Tracer, params: nn.NormParams<Tracer> | undefined, eps: number): Tracer {
  return nn.rmsNorm(x, params === undefined ? { eps } : { weight: params.weight, eps });
}
