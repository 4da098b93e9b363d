/** The interface of sequence layers: records of pure functions over plain parameters, with a state that can be carried on. */
import type { MapTree, Tensor, Tracer } from "@banach/autograd";
import type { Tolerances } from "../solvers/index.ts";
import type { SolveStats } from "../stats.ts";

/** How the fixed point was found, per sequence; null of a layer that is no fixed point. */
export type LayerStats = SolveStats | null;

export interface LayerResult<State, Stats extends LayerStats = LayerStats> {
  /** [batch, time, dModel]. */
  readonly y: Tracer;
  /** What the next piece of the same sequences must be given to go on as if they had not been cut. */
  readonly state: State;
  readonly stats: Stats;
}

/** What a layer may want to know when it starts. */
export interface LayerInit {
  /**
   * Number of layers that add to one residual stream; default 1. A layer of the Mamba family divides its output map by
   * the root of it, so that the stream does not grow with depth.
   */
  readonly depth?: number;
}

/** `Params` and `State` are trees of tracers. `Stats` says whether the layer is a fixed point. */
export interface Layer<Params = unknown, State = unknown, Stats extends LayerStats = LayerStats> {
  readonly name: string;
  readonly dModel: number;
  /** Parameters with the leaves of the key: host tensors outside a trace, tracers inside one. */
  init<K extends Tensor>(key: K, options?: LayerInit): MapTree<Params, Tracer, K>;
  /**
   * x [batch, time, dModel] -> y of the same shape. Without a state the sequences begin here. `tolerances` replace the
   * solver's, if there is one, for this call. Throws ShapeError for another shape or an empty time axis.
   */
  apply(params: Params, x: Tracer, state?: State, tolerances?: Partial<Tolerances>): LayerResult<State, Stats>;
}

/** The parameters of a layer or model, with tracers for leaves: what a loss function takes. */
export type ParamsOf<L> = L extends { apply(params: infer Params, ...rest: never): unknown } ? Params : never;
