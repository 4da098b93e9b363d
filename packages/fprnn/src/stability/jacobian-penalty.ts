/** A penalty on the Jacobian of the map, which keeps it a contraction while it is trained. */
import { type HostTensor, random, type Tracer, vjp } from "@banach/autograd";
import { requirePositiveInteger } from "../options.ts";
import type { Problem } from "../problem.ts";

export interface JacobianPenaltyOptions {
  /** Where the random signs come from: a new key for each training step. */
  readonly key: Tracer | HostTensor;
  /** Vectors of signs; default 1. The variance falls as 1 / samples. */
  readonly samples?: number;
}

/**
 * |J|_F^2 / n of the map at y, the mean over the sequences, where n = time * channel: the mean over the eigenvalues of J^T J.
 * Estimated as |J^T e|^2 / n for random signs e (M. Hutchinson, 1989; as a regulariser of fixed points S. Bai, V. Koltun and
 * Z. Kolter, "Stabilizing equilibrium models by Jacobian regularization", 2021). A scalar to be added to the loss,
 * differentiable by theta, and by y if y has a gradient: with stopGradient(y), as there, it costs about another backward
 * step. Throws ArgumentError unless `samples` is a positive integer.
 */
export function jacobianPenalty<Theta>(
  problem: Problem<Theta>,
  y: Tracer,
  theta: Theta,
  options: JacobianPenaltyOptions,
): Tracer {
  const { key, samples = 1 } = options;
  requirePositiveInteger("jacobianPenalty: samples", samples);
  const { pullback } = vjp((from: Tracer) => problem.step(from, theta), y);
  const size = y.shape.reduce((n, d) => n * d, samples);
  const squares = random.split(key as Tracer, samples).map((own) => {
    const signs = random.bernoulli(own, y.shape, 0.5).astype(y.dtype).mul(2).sub(1);
    const back = pullback(signs);
    return back.mul(back).sum();
  });
  return squares.reduce((total, square) => total.add(square)).div(size);
}
