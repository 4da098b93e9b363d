/** Losses. */
import { DTypeError, ShapeError } from "../errors.ts";
import { formatType, isFloat, isInteger, sameShape } from "../ir/tensor-type.ts";
import { and, div, equal, greaterEqual, less, mul, notEqual, sub, where } from "../ops/elementwise.ts";
import { pick } from "../ops/indexing.ts";
import { astype, lift } from "../ops/lift.ts";
import { expandDims } from "../ops/movement.ts";
import { mean, sum } from "../ops/reduction.ts";
import type { Operand, Tracer } from "../trace/tracer.ts";
import { logSumExp } from "./softmax.ts";

export interface CrossEntropyOptions {
  /** Weight of each position, shaped like the labels; bool or float. Positions of weight 0 may hold anything. */
  readonly mask?: Operand;
}

/**
 * Cross entropy in nats of logits [..., classes] against integer labels [...]: the mean over positions, weighted by the
 * mask; 0 if the mask is zero everywhere. Logits of other classes than the label's may be -Infinity. A label outside
 * [0, classes) at a position that counts gives NaN. Throws ShapeError if shapes do not fit or, without a mask, there
 * is no position; DTypeError unless logits are floats and labels integers.
 */
export function softmaxCrossEntropy(logits: Operand, labels: Operand, options: CrossEntropyOptions = {}): Tracer {
  const [x, targets] = [lift("softmaxCrossEntropy", logits), lift("softmaxCrossEntropy", labels)];
  requireFit(x, targets);
  if (options.mask === undefined) return mean(lossPerPosition(x, targets));
  const mask = lift("softmaxCrossEntropy", options.mask);
  if (!sameShape(mask.shape, targets.shape)) {
    throw new ShapeError(
      `softmaxCrossEntropy: mask ${formatType(mask.type)} must be shaped like labels ${formatType(targets.type)}`,
    );
  }
  const weight = astype(mask, x.dtype);
  const counts = notEqual(weight, 0);
  // Both selects are needed: what is masked must reach neither the sum nor, as 0 * NaN, the gradient.
  const loss = lossPerPosition(where(expandDims(counts, -1), x, 0), targets);
  const total = sum(weight);
  return div(sum(where(counts, mul(loss, weight), 0)), where(equal(total, 0), 1, total));
}

function requireFit(x: Tracer, labels: Tracer): void {
  if (!isFloat(x.dtype) || !isInteger(labels.dtype)) {
    throw new DTypeError(
      `softmaxCrossEntropy: needs float logits and integer labels, got ${formatType(x.type)} and ${formatType(labels.type)}`,
    );
  }
  if (x.rank === 0 || !sameShape(x.shape.slice(0, -1), labels.shape)) {
    throw new ShapeError(
      `softmaxCrossEntropy: labels ${formatType(labels.type)} must have the shape of logits ${formatType(x.type)} without the last axis`,
    );
  }
}

/** [..., classes] and [...] -> [...]. */
function lossPerPosition(logits: Tracer, labels: Tracer): Tracer {
  const index = astype(labels, "int32");
  const known = and(greaterEqual(index, 0), less(index, logits.dim(-1)));
  return sub(logSumExp(logits), where(known, pick(logits, index), Number.NaN));
}
