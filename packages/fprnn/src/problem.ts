/** Fixed-point problems: the map whose fixed point is wanted and, where it is causal in time, how to walk along time. */
import type { Tracer } from "@banach/autograd";

/** y = step(y, theta) with y [batch, time, channel]. `theta` is a tree of everything the map depends on. */
export interface Problem<Theta> {
  /** One application of the map: [batch, time, channel] -> the same. */
  step(y: Tracer, theta: Theta): Tracer;
}

/**
 * A map whose value at time t depends on y_t and, through a state, on earlier times only. `Input` is a tree of what one
 * time step is given, `State` what it inherits, with leaves [batch, ...]; `Context` what the map at that step needs.
 */
export interface Causal<Theta, Input, State, Context> {
  /** Splits theta into inputs stacked over time ([time, batch, ...] leaves) and the state before the first step. */
  prepare(theta: Theta): { readonly inputs: Input; readonly state: State; readonly previous: Tracer };
  /**
   * What the map at one step depends on besides y_t. `previous` is y_{t-1} [batch, channel] as the hidden-dependent
   * parameters see it: a gradient may be cut there without cutting the one through `state`.
   */
  at(input: Input, state: State, previous: Tracer, theta: Theta): Context;
  /** The map at one step: y_t [batch, channel] -> the same. */
  local(y: Tracer, context: Context): Tracer;
  /**
   * y_t = local(y*, context) and the state after the step, from its solution y*. Both come from one call, so that what
   * they share is computed, and differentiated, once.
   */
  advance(state: State, solution: Tracer, context: Context): { readonly y: Tracer; readonly state: State };
  /**
   * The y_t [batch, channel] with y_t = local(y_t, context) where there is a formula for it, as `sequential({ local: "direct" })`
   * needs; null where there is none. Not finite where the equation is singular.
   */
  readonly direct?: (context: Context) => Tracer | null;
  /**
   * An upper bound, up to rounding, on the slope of `local` in the Euclidean norm, for every y: [batch], or a shape that
   * broadcasts to it; null where none is known. It is what `certify` needs.
   */
  readonly bound?: (context: Context) => Tracer | null;
  /** For solvers that work on several steps at once, such as `chunked`; others do without. */
  readonly pieces?: Pieces<Theta, Input, State>;
}

/** The same problem on a piece of time. */
export interface Pieces<Theta, Input, State> {
  /**
   * The theta of `step` on the steps that `inputs` are of ([time, batch, ...] leaves, as `prepare` stacks them), going on
   * from a state and y_{t-1} [batch, channel].
   */
  theta(inputs: Input, state: State, previous: Tracer, theta: Theta): Theta;
  /** The state after the last step, from a solution y [batch, time, channel] of the whole of a theta. */
  stateAfter(y: Tracer, theta: Theta): State;
}

/** A problem that can also be solved front to back. The types of its other parts are its own business. */
export interface CausalProblem<Theta, State = unknown> extends Problem<Theta> {
  /** Calls `use` with the causal parts; so their types need not be known here. */
  readonly causal: <R>(use: <Input, Context>(causal: Causal<Theta, Input, State, Context>) => R) => R;
}

/** Hides the types of the parts of a causal problem, but for its state. */
export function causalProblem<Theta, Input, State, Context>(
  step: Problem<Theta>["step"],
  causal: Causal<Theta, Input, State, Context>,
): CausalProblem<Theta, State> {
  return { step, causal: (use) => use(causal) };
}
