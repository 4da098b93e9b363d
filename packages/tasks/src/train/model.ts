/** What the trainer asks of a model: parameters from a key, and logits with the statistics of the solver from tokens. */
import type { HostTensor, Tracer } from "@banach/autograd";
import type { LayerStats } from "@banach/fprnn";

/** A tree of parameters: host tensors, device arrays or tracers, depending on where it is. */
export type Params = unknown;

export interface ModelOutput {
  /** float [batch, time, vocabulary]. */
  readonly logits: Tracer;
  /** One per layer, null of a layer without a solver; empty for a model without layers. */
  readonly stats: readonly LayerStats[];
  /** What the next piece of the sequences goes on from, where the model has a state. */
  readonly state?: unknown;
}

/** A model that labels every position of a sequence. */
export interface SequenceModel {
  /** Parameters on the host, a function of the key only. */
  init(key: HostTensor): Params;
  /** Traced: ids int32 [batch, time]. `state` goes on from an earlier piece. */
  apply(params: Params, ids: Tracer, state?: unknown): ModelOutput;
  /**
   * Where sequences begin, a tree of [batch, ...]: host tensors outside a trace, tracers inside one. Absent of models whose
   * sequences cannot go on in the next batch.
   */
  initialState?(batch: number): unknown;
  /**
   * Traced: the same model, its solvers limited to `depth` iterations besides, int32[]. Absent of models that nothing is
   * solved in.
   */
  atDepth?(depth: Tracer): SequenceModel;
}
