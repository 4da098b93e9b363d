/** Statistics that the tests of random numbers compare with theory. */

export interface Moments {
  readonly mean: number;
  readonly variance: number;
}

export function moments(sample: ArrayLike<number>): Moments {
  const values = Array.from(sample);
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length;
  return { mean, variance };
}

/** The Kolmogorov-Smirnov distance between a sample and a distribution function, times the root of the sample's size. */
export function ksStatistic(sample: ArrayLike<number>, cdf: (x: number) => number): number {
  const sorted = Float64Array.from(Array.from(sample)).sort();
  let distance = 0;
  sorted.forEach((x, i) => {
    const p = cdf(x);
    distance = Math.max(distance, p - i / sorted.length, (i + 1) / sorted.length - p);
  });
  return distance * Math.sqrt(sorted.length);
}

/** Pearson's statistic of counts against equal expectations. */
export function chiSquare(counts: readonly number[]): number {
  const expected = counts.reduce((a, b) => a + b, 0) / counts.length;
  return counts.reduce((total, count) => total + (count - expected) ** 2 / expected, 0);
}

export function correlation(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const [x, y] = [moments(a), moments(b)];
  let covariance = 0;
  for (let i = 0; i < a.length; i++) covariance += (a[i]! - x.mean) * (b[i]! - y.mean);
  return covariance / a.length / Math.sqrt(x.variance * y.variance);
}

/** The error function by its Maclaurin series below 3 and a continued fraction above, to 1e-12. */
export function erf(x: number): number {
  if (x < 0) return -erf(-x);
  if (x < 3) {
    let [sum, term] = [x, x];
    for (let n = 1; n < 100; n++) {
      term *= (-x * x) / n;
      sum += term / (2 * n + 1);
    }
    return (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = 0;
  for (let n = 60; n > 0; n--) fraction = n / 2 / (x + fraction);
  return 1 - Math.exp(-x * x) / Math.sqrt(Math.PI) / (x + fraction);
}

export const normalCdf = (x: number): number => (1 + erf(x / Math.SQRT2)) / 2;
