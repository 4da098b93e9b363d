/** Embeddings: integers to vectors, and vectors back to logits with the same table. */
import { lift } from "../ops/lift.ts";
import { take } from "../ops/indexing.ts";
import { normal, type RandomDType } from "../random/distributions.ts";
import { eagerly, type Tensor } from "../random/eager.ts";
import type { Operand, Tracer } from "../trace/tracer.ts";
import { matmulTransposed } from "./linear.ts";

export interface EmbeddingInit {
  /** Number of rows: ids are in [0, vocabulary). */
  readonly vocabulary: number;
  readonly features: number;
  /** Standard deviation of the entries; default 0.02. */
  readonly stddev?: number;
  /** Default float32. */
  readonly dtype?: RandomDType;
}

/** weight [vocabulary, features]. */
export interface EmbeddingParams<T> {
  readonly weight: T;
}

function initEmbedding<K extends Tensor>(key: K, init: EmbeddingInit): EmbeddingParams<K> {
  const { vocabulary, features, stddev = 0.02, dtype = "float32" } = init;
  const create = (k: Tracer): EmbeddingParams<Tracer> => ({
    weight: normal(k, [vocabulary, features], { stddev, dtype }),
  });
  return eagerly(create)(key) as EmbeddingParams<K>;
}

function applyEmbedding(params: EmbeddingParams<Operand>, ids: Operand): Tracer {
  return take(params.weight, ids, 0);
}

function attend(params: EmbeddingParams<Operand>, hidden: Operand): Tracer {
  return matmulTransposed(lift("embedding.attend", hidden), params.weight);
}

/**
 * `apply`: ids [...] -> [..., features]; an id outside the vocabulary gives NaN. `attend`: hidden [..., features] ->
 * logits [..., vocabulary] = h E^T, a head tied to the table. `init` draws normal entries.
 */
export const embedding: {
  readonly init: typeof initEmbedding;
  readonly apply: typeof applyEmbedding;
  readonly attend: typeof attend;
} = { init: initEmbedding, apply: applyEmbedding, attend };
