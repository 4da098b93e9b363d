/** Causal depthwise convolution over time: each channel is mixed with its own last few steps. */
import { ShapeError } from "../errors.ts";
import { type DType, formatType, sameShape } from "../ir/tensor-type.ts";
import { full } from "../ops/creation.ts";
import { add, mul } from "../ops/elementwise.ts";
import { lift } from "../ops/lift.ts";
import { concatenate, index, pad, sliceAxis } from "../ops/movement.ts";
import { type RandomDType, uniform } from "../random/distributions.ts";
import { eagerly, type Tensor } from "../random/eager.ts";
import { split } from "../random/key.ts";
import type { HostTensor } from "../runtime/host-tensor.ts";
import type { Operand, Tracer } from "../trace/tracer.ts";

export interface CausalConvInit {
  readonly channels: number;
  /** Number of steps seen, the current one included; default 4. */
  readonly kernel?: number;
  /** Default float32. */
  readonly dtype?: RandomDType;
}

/** weight [channel, 1, kernel], whose last entry multiplies the current step; bias [channel]. */
export interface CausalConvParams<T> {
  readonly weight: T;
  readonly bias: T;
}

/** The result and the inputs to carry on with. */
export interface CausalConvResult {
  /** [batch, time, channel]. */
  readonly y: Tracer;
  /** The last kernel - 1 inputs, [batch, kernel - 1, channel]. */
  readonly state: Tracer;
}

function initConv<K extends Tensor>(key: K, init: CausalConvInit): CausalConvParams<K> {
  const { channels, kernel = 4, dtype = "float32" } = init;
  const bound = 1 / Math.sqrt(kernel);
  const create = (k: Tracer): CausalConvParams<Tracer> => {
    const [first = k, second = k] = split(k, 2);
    return {
      weight: uniform(first, [channels, 1, kernel], { low: -bound, high: bound, dtype }),
      bias: uniform(second, [channels], { low: -bound, high: bound, dtype }),
    };
  };
  return eagerly(create)(key) as CausalConvParams<K>;
}

export interface CausalConvStateInit {
  readonly batch: number;
  readonly channels: number;
  /** Default 4. */
  readonly kernel?: number;
  /** Default float32. */
  readonly dtype?: DType;
}

function initialState<T extends Tensor = HostTensor>(init: CausalConvStateInit): T {
  const { batch, channels, kernel = 4, dtype = "float32" } = init;
  return eagerly(() => full([batch, kernel - 1, channels], 0, dtype))() as T;
}

function requireShapes(x: Tracer, weight: Tracer, state: Tracer | undefined): void {
  const channels = x.shape[2];
  if (x.rank !== 3 || channels === undefined) {
    throw new ShapeError(`causalConv: the input must be [batch, time, channel], got ${formatType(x.type)}`);
  }
  const kernel = weight.shape[2] ?? 0;
  if (kernel < 1 || !sameShape(weight.shape, [channels, 1, kernel])) {
    throw new ShapeError(
      `causalConv: the weight for ${formatType(x.type)} must be [${channels},1,kernel], got ${formatType(weight.type)}`,
    );
  }
  const carried = [x.dim(0), kernel - 1, channels];
  if (state !== undefined && !sameShape(state.shape, carried)) {
    throw new ShapeError(
      `causalConv: the state for ${formatType(x.type)} must be [${carried.join(",")}], got ${formatType(state.type)}`,
    );
  }
}

function applyConv(params: CausalConvParams<Operand>, operand: Operand): Tracer;
function applyConv(params: CausalConvParams<Operand>, operand: Operand, state: Operand): CausalConvResult;
function applyConv(params: CausalConvParams<Operand>, operand: Operand, state?: Operand): Tracer | CausalConvResult {
  const [x, weight] = [lift("causalConv", operand), lift("causalConv", params.weight)];
  const before = state === undefined ? undefined : lift("causalConv", state);
  requireShapes(x, weight, before);
  const [time, kernel] = [x.dim(1), weight.dim(2)];
  const seen =
    before === undefined
      ? pad(x, [
          [0, 0],
          [kernel - 1, 0],
          [0, 0],
        ])
      : concatenate([before, x], 1);
  const taps = index(weight, 1, 0);
  const terms = Array.from({ length: kernel }, (_, k) => mul(sliceAxis(seen, 1, k, k + time), index(taps, 1, k)));
  const y = terms.reduce((total, term) => add(total, term), lift("causalConv", params.bias));
  return before === undefined ? y : { y, state: sliceAxis(seen, 1, time, time + kernel - 1) };
}

/**
 * y[t] = bias + sum_k weight[:, 0, k] x[t - (kernel - 1) + k] on [batch, time, channel]. Before the first step the inputs
 * are zero, or those in `state` [batch, kernel - 1, channel]; given one, `apply` also returns the next. So a sequence may
 * be cut anywhere, at any length. `init` draws both from U(-1/sqrt(kernel), 1/sqrt(kernel)); `initialState` is zeros
 * (`initialState<Tracer>` inside a trace). Throws ShapeError if shapes do not fit.
 */
export const causalConv: {
  readonly init: typeof initConv;
  readonly apply: typeof applyConv;
  readonly initialState: typeof initialState;
} = { init: initConv, apply: applyConv, initialState };
