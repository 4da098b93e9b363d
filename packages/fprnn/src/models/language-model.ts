/** The language model around sequence layers: embedding, pre-norm residual blocks, final norm, tied head. */
import {
  ArgumentError,
  eagerly,
  formatType,
  type HostTensor,
  type MapTree,
  nn,
  random,
  ShapeError,
  type Tensor,
  type Tracer,
} from "@banach/autograd";
import type { Layer, LayerResult, LayerStats, LayerStep } from "../layers/layer.ts";
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

/** As LanguageModelResult, for one token. */
export interface LanguageModelStep<S, Stats extends LayerStats = LayerStats> {
  /** [batch, vocabulary]. */
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
  /** Where sequences begin, one state per layer: zeros, host tensors outside a trace, tracers inside one. */
  initialState<T extends Tensor = HostTensor>(batch: number): MapTree<readonly S[], Tracer, NoInfer<T>>;
  /** The next token of sequences that come one token at a time, int32[batch]: see the step of layers. */
  step(
    params: LanguageModelParams<Tracer, P>,
    token: Tracer,
    state: readonly S[],
    tolerances?: Partial<Tolerances>,
  ): LanguageModelStep<S, Stats>;
}

/**
 * h = E[ids]; for each layer h <- h + layer(RMSNorm(h)); logits = RMSNorm(h) E^T. Embeddings are normal with standard
 * deviation 0.02, norms 1; layers are told how many there are (see LayerInit). Throws ArgumentError if a layer's width is not dModel,
 * and in use ShapeError for parameters of another number of layers.
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
  /** From embedded tokens [..., dModel] to logits [..., vocabulary], each layer called by `use`. */
  const through = (
    params: LanguageModelParams<Tracer, P>,
    ids: Tracer,
    use: (layer: Layer<P, S, Stats>, block: P, x: Tracer, i: number) => LayerResult<S, Stats> | LayerStep<S, Stats>,
  ): LanguageModelResult<S, Stats> => {
    requireParams(params, layers.length);
    let hidden = nn.embedding.apply(params.embedding, ids);
    const results = layers.map((layer, i) => {
      const block = params.blocks[i];
      const before = params.norms[i];
      if (block === undefined || before === undefined) {
        throw new ShapeError(`languageModel: params.${block === undefined ? "blocks" : "norms"}[${i}] is missing`);
      }
      const result = use(layer, block, norm(hidden, before, eps), i);
      hidden = hidden.add(result.y);
      return result;
    });
    return {
      logits: nn.embedding.attend(params.embedding, norm(hidden, params.norm_f, eps)),
      state: results.map((result) => result.state),
      stats: results.map((result) => result.stats),
    };
  };
  const stateOf = (state: readonly S[], i: number): S => {
    const own = state[i];
    if (own !== undefined && state.length === layers.length) return own;
    throw new ShapeError(`languageModel: the state must be a list of ${layers.length}, one per layer`);
  };
  return {
    vocabulary,
    init: <K extends Tensor>(key: K) =>
      eagerly(create)(key) as unknown as MapTree<LanguageModelParams<Tracer, P>, Tracer, K>,
    apply: (params, ids, state, tolerances) => {
      if (ids.rank !== 2)
        throw new ShapeError(`languageModel: ids must be int32[batch, time], got ${formatType(ids.type)}`);
      return through(params, ids, (layer, block, x, i) =>
        layer.apply(block, x, state === undefined ? undefined : stateOf(state, i), tolerances),
      );
    },
    initialState: <T extends Tensor = HostTensor>(batch: number) =>
      layers.map((layer) => layer.initialState<T>(batch)) as MapTree<readonly S[], Tracer, T>,
    step: (params, token, state, tolerances) => {
      if (token.rank !== 1)
        throw new ShapeError(`languageModel: the token of a step must be int32[batch], got ${formatType(token.type)}`);
      return through(params, token, (layer, block, x, i) => layer.step(block, x, stateOf(state, i), tolerances));
    },
  };
}

/**
 * Throws ShapeError, naming the part, unless there is a block and a norm per layer: of a deeper model the first layers are
 * another model.
 */
function requireParams(params: Partial<LanguageModelParams<Tracer>>, layers: number): void {
  for (const name of ["blocks", "norms"] as const) {
    const found = params[name]?.length ?? 0;
    if (found === layers) continue;
    throw new ShapeError(
      `languageModel: params.${name} must be a list of ${layers}, one per layer; there ${found === 1 ? "is" : "are"} ${found}`,
    );
  }
  if (params.norm_f === undefined) throw new ShapeError("languageModel: params.norm_f is missing");
}

function norm(x: Tracer, { weight }: nn.NormParams<Tracer>, eps: number): Tracer {
  return nn.rmsNorm(x, { weight, eps });
}
