/** How much a map lengthens small differences at y: the norm and the spectral radius of its Jacobian, by power iteration. */
import { type HostTensor, key as keyOf, random, scan, stopGradient, type Tracer, vjp } from "@banach/autograd";
import { perRow, rowNorm } from "../linear/linear-solver.ts";
import { requirePositiveInteger } from "../options.ts";
import type { CausalProblem, Problem } from "../problem.ts";
import { overTime } from "./over-time.ts";

export interface ContractionOptions {
  /**
   * Products with the Jacobian and its transpose, each; default 30, and for the whole map at least twice the length of the
   * sequence.
   */
  readonly steps?: number;
  /** Where the directions come from; default key(0). */
  readonly key?: Tracer | HostTensor;
}

const STEPS = 30;

/** Of the Jacobian J at one y. Neither is a certificate: see `certify`. */
export interface Contraction<T = Tracer> {
  /**
   * The largest |J v| / |v| that was found: a lower bound on the spectral norm, which it reaches in the limit. Below 1 at
   * every y, the map contracts.
   */
  readonly norm: T;
  /** Estimate of the spectral radius: the mean growth of |J^k v| over the later half of the steps. */
  readonly radius: T;
}

/**
 * Of the whole map y [batch, time, channel] -> the same, one number per sequence, [batch]. Information that travels through
 * time makes the norm large and leaves the radius alone: the eigenvalues are those of the local maps, for J is block
 * triangular in time. Until it has travelled, in as many steps as the sequence has, the growth that is seen here is its own;
 * that is why by default the later half begins there, and also then the radius may be far above that of the local maps, which
 * `localContraction` sees at once: its largest is the same number. Memory does not depend on the steps. Throws ArgumentError
 * unless they are a positive integer.
 */
export function contraction<Theta>(
  problem: Problem<Theta>,
  y: Tracer,
  theta: Theta,
  options: ContractionOptions = {},
): Contraction {
  const step = (from: Tracer): Tracer => problem.step(from, theta);
  return measure(step, y, { steps: Math.max(STEPS, 2 * y.dim(1)), ...options });
}

/** Of the local map at each step of time, [batch, time]: of y_t -> F_t(y_t), at y [batch, time, channel]. */
export function localContraction<Theta>(
  problem: CausalProblem<Theta>,
  y: Tracer,
  theta: Theta,
  options: ContractionOptions = {},
): Contraction {
  const { norm, radius } = overTime(problem, y, theta, (local, here) => ({ ...measure(local, here, options) }));
  return { norm, radius };
}

function measure(map: (y: Tracer) => Tracer, y: Tracer, options: ContractionOptions): Contraction {
  const { steps = STEPS, key = keyOf(0) } = options;
  requirePositiveInteger("contraction: steps", steps);
  const at = stopGradient(y);
  const { pullback } = vjp(map, at);
  // The pullback is linear, so that its own pullback, anywhere, is J.
  const { pullback: push } = vjp((v: Tracer) => pullback(v), at.zerosLike());
  const dtype = y.dtype === "float64" ? "float64" : "float32";
  const start = unit(random.normal(key as Tracer, y.shape, { dtype }).astype(y.dtype));
  const [, { norms, growth }] = scan(
    ({ even, straight }) => {
      const [first, second] = [push(even), push(straight)];
      return [
        { even: unit(pullback(first)), straight: unit(second) },
        { norms: rowNorm(first), growth: rowNorm(second) },
      ];
    },
    // Both J^T J and J, for the norm and for the radius.
    { even: start, straight: start },
    [],
    { length: steps },
  );
  const later = growth.sliceAxis(0, Math.floor(steps / 2), steps);
  // A J that is nilpotent ends at 0, whose logarithm is -Infinity and whose mean growth is 0.
  return stopGradient({ norm: norms.max({ axes: 0 }), radius: later.log().mean({ axes: 0 }).exp() });
}

/** Each row over its norm; zeros stay zeros. */
function unit(v: Tracer): Tracer {
  const norm = rowNorm(v);
  return v.div(perRow(norm.equal(0).astype(v.dtype).add(norm), v));
}
