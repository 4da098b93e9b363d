/** What the layers share: sizes, the checks of their options and inputs, and the short convolution. */
import {
  ArgumentError,
  eagerly,
  formatType,
  type HostTensor,
  type MapTree,
  nn,
  ShapeError,
  type Tensor,
  type Tracer,
  zeros,
} from "@banach/autograd";
import type { MixerArgument } from "../mixers/mixer.ts";
import { requireOneOf, requirePositive, requirePositiveInteger } from "../options.ts";
import type { Layer, LayerStats } from "./layer.ts";

/** Steps that a short convolution sees, the current one included. */
export const CONV_KERNEL = 4;

/** Inner channels expand * dModel. Throws ArgumentError, naming the layer, unless both are positive integers. */
export function requireChannels(layer: string, dModel: number, expand: number): number {
  const channels = dModel * expand;
  if (!Number.isSafeInteger(dModel) || dModel < 1) {
    throw new ArgumentError(`${layer}: dModel must be a positive integer, got ${dModel}`);
  }
  if (!Number.isSafeInteger(channels) || channels < 1) {
    throw new ArgumentError(`${layer}: expand * dModel must be a positive integer, got ${expand} * ${dModel}`);
  }
  return channels;
}

/** Throws ShapeError, naming the layer, unless x is [batch, time, dModel] and not empty. */
export function requireInput(layer: string, x: Tracer, dModel: number): void {
  if (x.rank !== 3 || x.dim(2) !== dModel) {
    throw new ShapeError(`${layer}: the input must be [batch, time, ${dModel}], got ${formatType(x.type)}`);
  }
  if (x.dim(0) === 0 || x.dim(1) === 0) {
    throw new ShapeError(`${layer}: the input ${formatType(x.type)} is empty; give at least one sequence of one step`);
  }
}

/** Throws ArgumentError, naming the layer, for options that are not of their domain. */
export function requireLayerOptions(layer: string, argument: MixerArgument, eps: number): void {
  requireOneOf(`${layer}: argument`, argument, ["concatenated", "symmetric", "input"]);
  requirePositive(`${layer}: eps`, eps);
}

/** Throws ShapeError unless there are parameters of short convolutions exactly if the layer has them. */
export function requireConvParams(layer: string, params: { readonly conv1d?: unknown }, wanted: boolean): void {
  const given = params.conv1d !== undefined;
  if (given === wanted) return;
  throw new ShapeError(
    wanted
      ? `${layer}: params.conv1d is missing; pass shortConv: false for a layer without a short convolution`
      : `${layer}: params.conv1d is given, but the layer has no short convolution; pass shortConv: true`,
  );
}

/** Throws ShapeError unless a state carries the inputs of convolutions exactly if the layer has convolutions. */
export function requireConvState(layer: string, given: boolean, wanted: boolean): void {
  if (given === wanted) return;
  throw new ShapeError(
    wanted
      ? `${layer}: state.conv is missing; the layer has short convolutions, so pass on the whole state that apply returned`
      : `${layer}: state.conv is given, but the layer has no short convolutions`,
  );
}

/** silu of a short convolution of x, and the inputs to carry on with; without parameters, x itself. */
export function shortConvolution(
  params: nn.CausalConvParams<Tracer> | undefined,
  x: Tracer,
  before: Tracer | undefined,
): { readonly x: Tracer; readonly conv?: Tracer } {
  if (params === undefined) return { x };
  const carried = before ?? zeros([x.dim(0), CONV_KERNEL - 1, x.dim(2)], x.dtype);
  const { y, state } = nn.causalConv.apply(params, x, carried);
  return { x: nn.silu(y), conv: state };
}

/** Zeros as the state of a layer before the first step; `create` makes them inside a trace. */
export function initially<State>(
  layer: string,
  create: (batch: number) => State,
): Layer<unknown, State>["initialState"] {
  return <T extends Tensor = HostTensor>(batch: number) => {
    requirePositiveInteger(`${layer}: batch`, batch);
    return eagerly(() => create(batch))() as MapTree<State, Tracer, T>;
  };
}

/**
 * The step of a layer as `apply` on sequences of length 1: a causal map, solved for one step, is the map at that step, and
 * what it inherits is in the state.
 */
export function oneStep<Params, State, Stats extends LayerStats>(
  layer: string,
  dModel: number,
  apply: Layer<Params, State, Stats>["apply"],
): Layer<Params, State, Stats>["step"] {
  return (params, x, state, tolerances) => {
    if (x.rank !== 2 || x.dim(1) !== dModel) {
      throw new ShapeError(`${layer}: the input of a step must be [batch, ${dModel}], got ${formatType(x.type)}`);
    }
    const result = apply(params, x.expandDims(1), state, tolerances);
    return { ...result, y: result.y.index(1, 0) };
  };
}

/** [batch, time, n] to [time, batch, n]. */
export function timeFirst(x: Tracer): Tracer {
  return x.transpose([1, 0, 2]);
}
