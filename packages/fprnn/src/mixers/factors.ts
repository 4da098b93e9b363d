/** How D channels are laid out as a matrix of d1 x d2, row by row, for mixers that act on its rows and its columns. */
import { ArgumentError } from "@banach/autograd";
import { requirePositiveInteger } from "../options.ts";

/** d1 and d2, with d1 d2 = D. */
export type Factors = readonly [number, number];

/** Throws ArgumentError, naming the mixer, unless both are positive integers. */
export function requireFactors(mixer: string, factors: Factors): void {
  factors.forEach((size, i) => requirePositiveInteger(`${mixer}: factors[${i}]`, size));
}

/**
 * The factors of D: those given, or the most equal ones, the smaller first (as in the authors' code). Throws ArgumentError,
 * naming the mixer, where the given ones do not multiply to D, or where D is prime (or 1) and none were given: with [1, D]
 * the mixer is a dense matrix, which has to be asked for.
 */
export function factorsOf(mixer: string, channels: number, given: Factors | undefined): Factors {
  if (given !== undefined) {
    const [d1, d2] = given;
    if (d1 * d2 === channels) return given;
    throw new ArgumentError(
      `${mixer}: factors [${d1}, ${d2}] multiply to ${d1 * d2}, but there are ${channels} channels (expand * dModel)`,
    );
  }
  let d1 = Math.floor(Math.sqrt(channels));
  while (d1 > 1 && channels % d1 !== 0) d1--;
  if (d1 > 1) return [d1, channels / d1];
  throw new ArgumentError(
    `${mixer}: ${channels} channels (expand * dModel) have no factors but 1; choose another width, or factors: [1, ${channels}] for one matrix of that size`,
  );
}

/**
 * The factors of parameters that have a strength for each row and each column. Throws ArgumentError, naming the mixer, where
 * its own factors are others.
 */
export function factorsOfParams(
  mixer: string,
  channels: number,
  strengths: number,
  given: Factors | undefined,
): Factors {
  const [d1, d2] = factorsOf(mixer, channels, given);
  if (d1 + d2 === strengths) return [d1, d2];
  throw new ArgumentError(
    `${mixer}: the parameters have ${strengths} strengths, factors [${d1}, ${d2}] need ${d1 + d2}; give the factors that init was given`,
  );
}
