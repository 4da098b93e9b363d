/** The orthogonal mixer, which selects nothing: one matrix for all positions and inputs. */
import { nn, random, scan, type Tracer } from "@banach/autograd";
import { requirePositive, requirePositiveInteger } from "../options.ts";
import { schattenNorm } from "./matrix-norm.ts";
import type { Mixer } from "./mixer.ts";
import { type Gain, requireGain } from "./options.ts";
import { times } from "./projection.ts";
import { identityMatrix } from "./small-matrix.ts";

export interface OrthogonalOptions {
  /** Reflections that O is a product of; default D, which every orthogonal matrix with the same determinant is. */
  readonly reflections?: number;
  /**
   * 1: Q = (I + O) / 2, with the norm of I - Q at most 1. 2: Q = O, for which it is at most 2, and layers can leave the
   * contraction region. Default 1.
   */
  readonly gain?: Gain;
  /** The least norm of a reflection's direction; default 1e-5. */
  readonly eps?: number;
}

/** Directions of the reflections, [reflections, D]. */
export interface OrthogonalParams<T> {
  readonly v: T;
}

/** The same at all positions. */
export interface SharedMatrix {
  /** Q, [D, D]. */
  readonly matrix: Tracer;
}

export type OrthogonalMixer = Mixer<OrthogonalParams<Tracer>, SharedMatrix, SharedMatrix>;

/**
 * Q = I - gain (I - O) / 2 with O = H_{n-1} ... H_0 and H_i = I - 2 v_i v_i^T / ||v_i||^2, which is orthogonal whatever the
 * directions v are. For comparison with selective mixers, as in arXiv 2503.10799. Throws ArgumentError for an option
 * outside its domain.
 */
export function orthogonal(options: OrthogonalOptions = {}): OrthogonalMixer {
  const { reflections, gain = 1, eps = 1e-5 } = options;
  if (reflections !== undefined) requirePositiveInteger("orthogonal: reflections", reflections);
  requireGain("orthogonal", gain);
  requirePositive("orthogonal: eps", eps);
  return {
    name: "orthogonal",
    init: (key, { channels, dtype = "float32" }) => ({
      v: random.normal(key, [reflections ?? channels, channels], { dtype }),
    }),
    bind: ({ v }, x) => {
      const o = reflected(nn.l2Normalize(v, { eps }));
      const identity = identityMatrix(v.dim(-1), v.dtype);
      const matrix = gain === 2 ? o : identity.add(o).mul(0.5);
      // No projections: nothing of the argument is needed.
      return { input: x.sliceAxis(-1, 0, 0), hidden: null, weights: { matrix } };
    },
    at: (_, { matrix }) => ({ matrix }),
    apply: ({ matrix }, x) => times(x, matrix),
    applyTransposed: ({ matrix }, x) => x.matmul(matrix),
    lowRank: () => null,
    bound: ({ matrix }) => schattenNorm(identityMatrix(matrix.dim(0), matrix.dtype).sub(matrix)).minimum(gain),
  };
}

/** H_{n-1} ... H_0, [D, D], for unit directions [n, D]. */
function reflected(directions: Tracer): Tracer {
  const reflect = (o: Tracer, u: Tracer): Tracer => o.sub(u.expandDims(-1).mul(u.matmul(o)).mul(2));
  const [product] = scan(
    (o: Tracer, u: Tracer) => [reflect(o, u), []] as const,
    identityMatrix(directions.dim(-1), directions.dtype),
    directions,
  );
  return product;
}
