import { grad, type HostTensor, key, random, type Tracer } from "@banach/autograd";
import { reference } from "@banach/autograd/reference";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  certify,
  contraction,
  fixedPoint,
  fpMamba,
  fpRnn,
  householder,
  jacobianPenalty,
  localContraction,
  multistart,
  picard,
  type Problem,
  sequential,
} from "../../src/index.ts";
import { rnn, rnnData, type RnnTheta, scalarMap } from "../problems.ts";

const device = await reference();
const dtype = "float64" as const;

/** y -> y M for each step of each sequence, M [channel, channel]. */
const matrixMap: Problem<Tracer> = { step: (y, m) => y.dotGeneral(m, { contracting: [[2], [0]] }) };

const zeros = (shape: readonly number[]): HostTensor => random.uniform(key(0), shape, { high: 0, dtype });

describe("contraction", () => {
  it("finds the norm and the spectral radius of a linear map, which may be far apart", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.double({ min: 0.1, max: 2, noNaN: true }),
        fc.double({ min: -0.9, max: 0.9, noNaN: true }),
        fc.double({ min: -3, max: 3, noNaN: true }),
        async (first, ratio, shear) => {
          // Eigenvalues first and ratio * first; the shear makes it far from normal.
          const m = zeros([2, 2]);
          m.data.set([first, shear, 0, ratio * first]);
          const run = (y: Tracer, t: Tracer) => contraction(matrixMap, y, t, { steps: 400 });
          const { norm, radius } = await device.get(await device.run(run, zeros([2, 1, 2]), m));
          expect(norm.data[1]! / largestSingular([first, shear, 0, ratio * first])).toBeCloseTo(1, 3);
          expect(radius.data[0]! / first).toBeCloseTo(1, 1);
        },
      ),
      { numRuns: 30 },
    );
  });

  it("is 0 in radius, and not in norm, where information only travels through time", async () => {
    const theta = rnnData(1n, { recurrent: 4, local: 0 }, [2, 5, 3]);
    const run = (t: RnnTheta) => contraction(rnn, t.x.mul(0), t, { steps: 20 });
    const { norm, radius } = await device.get(await device.run(run, theta));
    expect(Array.from(radius.data)).toEqual([0, 0]);
    expect(Math.min(...norm.data)).toBeGreaterThan(0.1);
  });

  it("takes the radius of the whole from the local maps, in the limit", async () => {
    const theta = rnnData(2n, { recurrent: 1, local: 1.5 }, [2, 3, 3]);
    const run = (t: RnnTheta) => ({
      whole: contraction(rnn, t.x, t, { steps: 2000 }).radius,
      local: localContraction(rnn, t.x, t, { steps: 500 }),
    });
    const { whole, local } = await device.get(await device.run(run, theta));
    expect(local.radius.shape).toEqual([2, 3]);
    for (let row = 0; row < 2; row++) {
      const largest = Math.max(...local.radius.data.slice(3 * row, 3 * row + 3));
      expect(whole.data[row]! / largest).toBeCloseTo(1, 1);
    }
    local.radius.data.forEach((radius, i) => expect(radius).toBeLessThan(local.norm.data[i]! * 1.05));
  });

  it("is a lower bound on the norm after any number of steps", async () => {
    const m = random.normal(key(4), [5, 5], { dtype });
    const norms: number[] = [];
    for (const steps of [1, 2, 4, 64]) {
      const run = (y: Tracer, t: Tracer) => contraction(matrixMap, y, t, { steps }).norm;
      norms.push((await device.get(await device.run(run, zeros([1, 1, 5]), m))).item());
    }
    for (let i = 1; i < norms.length; i++) expect(norms[i]!).toBeGreaterThanOrEqual(norms[i - 1]!);
  });

  it("sees the local maps from the far end of a sequence by default, and says what it sees after fewer steps", async () => {
    // No slope at any step, and information that grows as it travels: its growth is all that 30 steps show of 40.
    const theta = rnnData(1n, { recurrent: 8, local: 0 }, [1, 40, 3]);
    const run = (t: RnnTheta) => ({
      few: contraction(rnn, t.x.mul(0), t, { steps: 30 }).radius,
      enough: contraction(rnn, t.x.mul(0), t).radius,
    });
    const { few, enough } = await device.get(await device.run(run, theta));
    expect(few.item()).toBeGreaterThan(0.5);
    expect(enough.item()).toBe(0);
  });

  it("refuses no step at all", async () => {
    const run = device.run((y: Tracer) => contraction(scalarMap(0.5), y, y, { steps: 0 }), zeros([1, 1, 1]));
    await expect(run).rejects.toThrow(/contraction: steps must be a positive integer, got 0/);
  });
});

describe("certify", () => {
  const layer = (gain: 1 | 2) => fpRnn({ dModel: 4, mixer: householder({ rank: 1, gain }), dtype });
  const input = random.normal(key(7), [3, 6, 4], { dtype });

  it.each([1, 2] as const)("bounds the slope of FP-RNN's local maps, with gain %s", async (gain) => {
    const rnnLayer = layer(gain);
    const run = (p: Parameters<typeof rnnLayer.parts>[0], x: Tracer) => {
      const { problem, theta, y0 } = rnnLayer.parts(p, x);
      const { y } = fixedPoint(problem, y0, theta, { solver: sequential({ tol: 1e-10, maxSteps: 500 }) });
      return { ...certify(problem, y, theta), slope: localContraction(problem, y, theta, { steps: 100 }).norm };
    };
    const { certified, bound, slope } = await device.get(await device.run(run, rnnLayer.init(key(8)), input));
    expect(bound!.shape).toEqual([3, 6]);
    slope.data.forEach((norm, i) => expect(norm).toBeLessThanOrEqual(bound!.data[i]! * (1 + 1e-12)));
    for (let row = 0; row < 3; row++) {
      expect(Boolean(certified.data[row])).toBe(bound!.data.slice(6 * row, 6 * row + 6).every((b) => b < 1));
    }
    // Gain 1 and rank 1 is a contraction whatever the parameters.
    if (gain === 1) expect(Array.from(certified.data, Boolean)).toEqual([true, true, true]);
  });

  it("certifies nothing where no bound is known: FP-Mamba normalises inside the map", async () => {
    const mamba = fpMamba({ dModel: 4, dState: 4, mixer: householder(), dtype });
    const run = (p: Parameters<typeof mamba.parts>[0], x: Tracer) => {
      const { problem, theta, y0 } = mamba.parts(p, x);
      return certify(problem, y0, theta);
    };
    const { certified, bound } = await device.get(await device.run(run, mamba.init(key(8)), input));
    expect(bound).toBeNull();
    expect(Array.from(certified.data, Boolean)).toEqual([false, false, false]);
  });
});

describe("multistart", () => {
  it("is about the tolerance where there is one fixed point", async () => {
    const theta = rnnData(5n, { recurrent: 0.5, local: 0.4 });
    const solver = picard({ tol: 1e-9, maxSteps: 200 });
    const run = (t: RnnTheta) => multistart(rnn, t.x.mul(0), t, { solver, starts: 3 });
    const { spread, converged } = await device.get(await device.run(run, theta));
    expect(Array.from(converged.data)).toEqual([4, 4, 4]);
    expect(Math.max(...spread.data)).toBeLessThan(1e-8);
  });

  it("finds the two fixed points of a map that has two", async () => {
    // y = tanh(3 y) has 0, which repels, and two that attract.
    const twofold: Problem<Tracer> = { step: (y) => y.mul(3).tanh() };
    const solver = picard({ tol: 1e-9, maxSteps: 200 });
    const run = (y0: Tracer) => multistart(twofold, y0, y0, { solver, starts: 8, scale: 0.5 });
    const { spread } = await device.get(await device.run(run, zeros([2, 1, 1])));
    for (const value of spread.data) expect(value).toBeCloseTo(2, 6);
  });

  it("takes a slow map for one with several fixed points at a loose tolerance only", async () => {
    // y <- 0.99 y + 0.01: one fixed point, 1, and a hundredth of the way to it at a time.
    const one = (y0: Tracer): Tracer => y0.zerosLike().add(0.01);
    const spreadAt = async (tol?: number): Promise<number> => {
      const solver = tol === undefined ? {} : { solver: picard({ tol, maxSteps: 5000 }) };
      const run = (y0: Tracer) => multistart(scalarMap(0.99), y0, one(y0), { ...solver, starts: 4, scale: 1 });
      const { spread, converged } = await device.get(await device.run(run, zeros([1, 2, 2])));
      expect(converged.item()).toBe(5);
      return spread.item();
    };
    expect(await spreadAt(0.1)).toBeGreaterThan(0.5);
    expect(await spreadAt()).toBeLessThan(3e-3);
    expect(await spreadAt(1e-7)).toBeLessThan(3e-5);
  });

  it("counts only what converged", async () => {
    const run = (y0: Tracer) => multistart(scalarMap(3), y0, y0.add(1), { starts: 3 });
    const { spread, converged } = await device.get(await device.run(run, zeros([1, 2, 2])));
    expect([spread.item(), converged.item()]).toEqual([0, 0]);
  });

  it.each([
    [{ starts: 0 }, /multistart: starts must be a positive integer/],
    [{ scale: -1 }, /multistart: scale must be a positive number/],
  ])("refuses %o", async (options, message) => {
    const run = device.run((y: Tracer) => multistart(scalarMap(0.5), y, y, options), zeros([1, 1, 1]));
    await expect(run).rejects.toThrow(message);
  });
});

describe("jacobianPenalty", () => {
  it("is the mean square of a scalar map's slope", async () => {
    const run = (y: Tracer) => jacobianPenalty(scalarMap(0.3), y, y, { key: key(3) });
    expect((await device.get(await device.run(run, zeros([2, 3, 4])))).item()).toBeCloseTo(0.09, 12);
  });

  it("estimates the squared Frobenius norm over n, better with more samples", async () => {
    const m = random.normal(key(4), [4, 4], { dtype });
    const exact = Math.hypot(...m.data) ** 2 / 4;
    const run = (y: Tracer, t: Tracer) => jacobianPenalty(matrixMap, y, t, { key: key(5), samples: 64 });
    const estimate = (await device.get(await device.run(run, zeros([2, 8, 4]), m))).item();
    expect(estimate / exact).toBeCloseTo(1, 1);
  });

  it("has the gradient that differences show", async () => {
    const theta = rnnData(6n, { recurrent: 1, local: 1 }, [1, 2, 3]);
    const penalty = (t: RnnTheta): Tracer => jacobianPenalty(rnn, t.x, t, { key: key(1), samples: 2 });
    const value = async (shift: number): Promise<number> => {
      const local = zeros([3, 3]);
      local.data.set(theta.local.data);
      local.data[4]! += shift;
      return (await device.get(await device.run(penalty, { ...theta, local }))).item();
    };
    const gradient = await device.get(await device.run(grad(penalty), theta));
    const h = 1e-5;
    expect(gradient.local.data[4]! / (((await value(h)) - (await value(-h))) / (2 * h))).toBeCloseTo(1, 7);
  });

  it("refuses no sample", async () => {
    const run = device.run(
      (y: Tracer) => jacobianPenalty(scalarMap(0.5), y, y, { key: key(0), samples: 0 }),
      zeros([1, 1, 1]),
    );
    await expect(run).rejects.toThrow(/jacobianPenalty: samples must be a positive integer/);
  });
});

/** Of [[a, b], [c, d]]. */
function largestSingular([a, b, c, d]: readonly [number, number, number, number]): number {
  const [sum, det] = [a * a + b * b + c * c + d * d, a * d - b * c];
  return Math.sqrt((sum + Math.sqrt(Math.max(0, sum * sum - 4 * det * det))) / 2);
}
