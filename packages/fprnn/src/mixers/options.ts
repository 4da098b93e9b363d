/** Options that the selective mixers share, and their checks. */
import { requireOneOf, requirePositive, requirePositiveInteger } from "../options.ts";

/** Applied to the numbers that a mixer takes from its argument, before they are normalised. */
export type Activation = "silu" | "identity";

/** The factor on I - Q. */
export type Gain = 1 | 2;

export interface SelectiveOptions {
  /**
   * Factor on what is subtracted from the identity: 1 is the paper's, 2 the authors' code, whose layers can leave the
   * contraction region. Default 1.
   */
  readonly gain?: Gain;
  /** Default silu. */
  readonly activation?: Activation;
  /** Computes the numbers that Q is made of (but for the strengths) through a bottleneck of this size; default none. */
  readonly projectionRank?: number;
  /** The least norm that anything is divided by; default 1e-5. */
  readonly eps?: number;
}

export type SelectiveDefaults = Required<Omit<SelectiveOptions, "projectionRank">> &
  Pick<SelectiveOptions, "projectionRank">;

/** Throws ArgumentError, naming the mixer, unless it is a gain. */
export function requireGain(mixer: string, gain: Gain): void {
  requireOneOf(`${mixer}: gain`, gain, [1, 2]);
}

/** The options with their defaults. Throws ArgumentError, naming the mixer, for one outside its domain. */
export function selectiveOptions(mixer: string, options: SelectiveOptions): SelectiveDefaults {
  const { gain = 1, activation = "silu", projectionRank, eps = 1e-5 } = options;
  requireGain(mixer, gain);
  requireOneOf(`${mixer}: activation`, activation, ["silu", "identity"]);
  requirePositive(`${mixer}: eps`, eps);
  if (projectionRank === undefined) return { gain, activation, eps };
  requirePositiveInteger(`${mixer}: projectionRank`, projectionRank);
  return { gain, activation, projectionRank, eps };
}
