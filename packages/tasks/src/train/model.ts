/** What the trainer asks of a model: parameters from a key, and logits with the statistics of the solver from tokens. */
import type { HostTensor, Tracer } from "@banach/autograd";
import type { SolveStats } from "@banach/fprnn";

/** A tree of parameters: host tensors, device arrays or tracers, depending on where it is. */
export type Params = unknown;

export interface ModelOutput {
  /** float [batch, time, vocabulary]. */
  readonly logits: Tracer;
  /** One per layer; empty for a model without solvers. */
  readonly stats: readonly SolveStats[];
}

/** A model that labels every position of a sequence. */
export interface SequenceModel {
  /** Parameters on the host, a function of the key only. */
  init(key: HostTensor): Params;
  /** Traced: ids int32 [batch, time]. */
  apply(params: Params, ids: Tracer): ModelOutput;
}
