/** Random depth: a number of iterations drawn for each batch, so that a model cannot learn its solver. */
import { type HostTensor, random } from "@banach/autograd";
import { requirePositive, requirePositiveInteger } from "../options.ts";

export interface RandomDepthOptions {
  /** Shape of the Gamma distribution; default 4, the authors'. */
  readonly shape?: number;
  /** Its scale; default 1. The mean is shape * scale. */
  readonly scale?: number;
}

export interface RandomDepth extends Required<RandomDepthOptions> {
  /** A positive integer, a function of the key only. Throws TraceError inside a trace. */
  readonly draw: (key: HostTensor) => number;
}

/**
 * ceil(Gamma(shape, scale)) iterations, as in the authors' code (arXiv 2503.10799). Draw one for each batch, hand it to the
 * program as int32[], and solve with `solver.with({ depth })` there. Throws ArgumentError for options outside their domain.
 */
export function randomDepth({ shape = 4, scale = 1 }: RandomDepthOptions = {}): RandomDepth {
  requirePositive("randomDepth: shape", shape);
  requirePositive("randomDepth: scale", scale);
  return {
    shape,
    scale,
    draw: (key) => {
      const [depth = 1] = random.gamma(key, [], { alpha: shape, scale, dtype: "float64" }).data;
      // A small shape has draws that round to 0.
      return Math.max(1, Math.ceil(depth));
    },
  };
}

/**
 * The scale of the authors' schedule, (length / 4) / 4 + 1 where sequences are up to `length` long: with shape 4, the mean
 * of the distribution is length / 4 + 4. Throws ArgumentError unless the length is a positive integer.
 */
export function depthScale(length: number): number {
  requirePositiveInteger("depthScale: length", length);
  return length / 16 + 1;
}
