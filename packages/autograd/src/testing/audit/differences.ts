/** Central differences in float64, extrapolated to step zero (Richardson, in Ridders' tableau), with an estimate of the error. */

export interface Derivative {
  readonly value: Float64Array;
  /** Estimated absolute error of each element. */
  readonly error: Float64Array;
}

const FIRST_STEP = 0.02;
/** Each step is this much smaller than the one before. */
const SHRINK = 1.6;
const COLUMNS = 8;

/** Derivative of a vector function of one number at 0. */
export function ridders(f: (t: number) => Float64Array): Derivative {
  const size = f(0).length;
  const value = new Float64Array(size);
  const error = new Float64Array(size).fill(Infinity);
  let previous: Float64Array[] = [];
  let h = FIRST_STEP;
  for (let column = 0; column < COLUMNS; column++, h /= SHRINK) {
    const [plus, minus] = [f(h), f(-h)];
    const current = [plus.map((x, i) => (x - (minus[i] ?? NaN)) / (2 * h))];
    let factor = SHRINK * SHRINK;
    for (let order = 1; order <= column; order++, factor *= SHRINK * SHRINK) {
      const [fine, coarse] = [current[order - 1], previous[order - 1]];
      if (fine === undefined || coarse === undefined) break;
      const better = fine.map((x, i) => (x * factor - (coarse[i] ?? NaN)) / (factor - 1));
      keepBest(value, error, better, fine, coarse);
      current.push(better);
    }
    previous = current;
  }
  return { value, error };
}

/** Takes an extrapolation where it is closer to what it was made of than the best so far. */
function keepBest(
  value: Float64Array,
  error: Float64Array,
  better: Float64Array,
  fine: Float64Array,
  coarse: Float64Array,
): void {
  for (let i = 0; i < value.length; i++) {
    const x = better[i] ?? NaN;
    const spread = Math.max(Math.abs(x - (fine[i] ?? NaN)), Math.abs(x - (coarse[i] ?? NaN)));
    if (spread <= (error[i] ?? Infinity)) {
      value[i] = x;
      error[i] = spread;
    }
  }
}
