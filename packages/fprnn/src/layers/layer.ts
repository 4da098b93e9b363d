/** The interface of sequence layers: records of pure functions over plain parameters, with a state that can be carried on. */
import type { HostTensor, MapTree, Tensor, Tracer } from "@banach/autograd";
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

/** As LayerResult, for one step. */
export interface LayerStep<State, Stats extends LayerStats = LayerStats> {
  /** [batch, dModel]. */
  readonly y: Tracer;
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

/**
 * `Params` and `State` are trees of tracers; `State` is what a sequence leaves behind, and its size does not depend on the
 * sequence's length. `Stats` says whether the layer is a fixed point.
 */
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
  /** Where sequences begin: zeros, host tensors outside a trace, tracers inside one (`initialState<Tracer>`). */
  initialState<T extends Tensor = HostTensor>(batch: number): MapTree<State, Tracer, NoInfer<T>>;
  /**
   * The next step of sequences that come one step at a time: x [batch, dModel] -> y of the same shape, in time and memory
   * that do not depend on the steps before. After any prefix, given to `apply` or step by step, y is what `apply` gives the
   * whole: to the solver's tolerance, and for a map that has one fixed point.
   */
  step(params: Params, x: Tracer, state: State, tolerances?: Partial<Tolerances>): LayerStep<State, Stats>;
}

/** The parameters of a layer or model, with tracers for leaves: what a loss function takes. */
export type ParamsOf<L> = L extends { apply(params: infer Params, ...rest: never): unknown } ? Params : never;
