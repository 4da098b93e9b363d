import {
  type HostTensor,
  hvp,
  NotDifferentiableError,
  random,
  type Tracer,
  treeLeaves,
  treeMap,
} from "@banach/autograd";
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import {
  type Adjoint,
  fixedPoint,
  gmres,
  implicit,
  iteration,
  neumann,
  sequential,
  throughTime,
  truncated,
  unrolled,
} from "../../src/index.ts";
import { rnn, rnnData, type RnnTheta } from "../problems.ts";
import { choiceFor, device, type Gradients, gradientBy, loss, relative } from "./kit.ts";

vi.setConfig({ testTimeout: 30_000 });

const many = unrolled({ steps: 400 });
const exactly = implicit({ tol: 1e-12, maxSteps: 500 });
const throughEach = throughTime({ local: "implicit", solver: gmres({ tol: 1e-12 }) });

interface Case {
  readonly seed: number;
  readonly recurrent: number;
  readonly local: number;
  readonly shape: readonly number[];
}

/** Few shapes, so that few programs are compiled. */
const cases = (recurrent: readonly number[], local: readonly number[]): fc.Arbitrary<Case> =>
  fc.record({
    seed: fc.nat({ max: 1 << 20 }),
    recurrent: fc.constantFrom(...recurrent),
    local: fc.constantFrom(...local),
    shape: fc.constantFrom([1, 1, 1], [2, 6, 3], [3, 4, 5]),
  });

/** Entries of both squares are below scale / n, so that the slope of the map in the sup norm is below the scales' sum. */
const contraction = cases([0, 0.3, 0.6], [0, 0.2, 0.35]);

/** Maps that contract at each step, but not as a whole: information grows as it travels. */
const walk = cases([0.5, 2, 4], [0, 0.4, 0.8]);

const thetaOf = ({ seed, recurrent, local, shape }: Case): Gradients =>
  rnnData(BigInt(seed), { recurrent, local }, [...shape]);

describe("neumann", () => {
  it("is truncated with as many steps", async () => {
    await fc.assert(
      fc.asyncProperty(contraction, fc.constantFrom(1, 2, 3, 7), async (data, k) => {
        const theta = thetaOf(data);
        const both = [await gradientBy(neumann({ terms: k }), theta), await gradientBy(truncated({ steps: k }), theta)];
        expect(relative(both[0]!, both[1]!)).toBeLessThan(1e-11);
      }),
      { numRuns: 12 },
    );
  });

  it("is the exact gradient in the end, at the rate of the contraction", async () => {
    await fc.assert(
      fc.asyncProperty(contraction, async (data) => {
        const rho = data.recurrent + data.local;
        const theta = thetaOf(data);
        const exact = await gradientBy(many, theta);
        for (const terms of [2, 5, 11, 60]) {
          const error = relative(await gradientBy(neumann({ terms }), theta), exact);
          expect(error).toBeLessThan(10 * rho ** terms + 1e-11);
        }
      }),
      { numRuns: 10 },
    );
  });
});

describe("truncated", () => {
  it("approaches implicit geometrically in its steps", async () => {
    await fc.assert(
      fc.asyncProperty(contraction, async (data) => {
        const rho = data.recurrent + data.local;
        const theta = thetaOf(data);
        const exact = await gradientBy(exactly, theta);
        for (const steps of [1, 3, 9, 27]) {
          const error = relative(await gradientBy(truncated({ steps }), theta), exact);
          expect(error).toBeLessThan(10 * rho ** steps + 1e-11);
        }
      }),
      { numRuns: 10 },
    );
  });
});

describe.each<[string, Adjoint]>([
  ["implicit by iteration", exactly],
  ["implicit by GMRES", implicit({ solver: gmres({ tol: 1e-12, maxSteps: 200, restart: 40 }) })],
  ["implicit by GMRES that restarts", implicit({ solver: gmres({ tol: 1e-12, maxSteps: 400, restart: 3 }) })],
  ["throughTime, local implicit", throughEach],
  [
    "throughTime, local implicit by iteration",
    throughTime({ local: "implicit", solver: iteration({ tol: 1e-12, maxSteps: 300 }) }),
  ],
])("%s", (_, adjoint) => {
  it("is the gradient through many sweeps", async () => {
    await fc.assert(
      fc.asyncProperty(contraction, async (data) => {
        const theta = thetaOf(data);
        expect(relative(await gradientBy(adjoint, theta), await gradientBy(many, theta))).toBeLessThan(1e-10);
      }),
      { numRuns: 6 },
    );
  });

  it("is the derivative, by differences that are extrapolated", async () => {
    await fc.assert(
      fc.asyncProperty(walk, async (data) => {
        const theta = thetaOf(data);
        const direction = treeMap<Gradients, HostTensor, HostTensor>(
          (leaf, path) => random.normal(random.key(path.length), leaf.shape, { dtype: "float64" }),
          theta,
        );
        const slope = await differences(theta, direction);
        const gradient = await gradientBy(adjoint, theta);
        expect(Math.abs(inner(gradient, direction) - slope)).toBeLessThan(
          1e-8 * (1 + norm(gradient) * norm(direction)),
        );
      }),
      { numRuns: 6 },
    );
  });
});

describe("throughTime, local implicit", () => {
  it("is implicit where information grows on its way", async () => {
    await fc.assert(
      fc.asyncProperty(walk, async (data) => {
        const theta = thetaOf(data);
        const whole = await gradientBy(implicit({ solver: gmres({ tol: 1e-13, maxSteps: 300, restart: 100 }) }), theta);
        expect(relative(await gradientBy(throughEach, theta), whole)).toBeLessThan(1e-9);
      }),
      { numRuns: 10 },
    );
  });

  it("differs from implicit without its carry, but only by what flows through the hidden dependence", async () => {
    const cut = throughTime({ local: "implicit", solver: gmres({ tol: 1e-12 }), carry: false });
    const dependent = rnnData(3n, { recurrent: 2, local: 0.5 });
    expect(relative(await gradientBy(cut, dependent), await gradientBy(many, dependent))).toBeGreaterThan(1e-2);
    const single = rnnData(3n, { recurrent: 2, local: 0.5 }, [3, 1, 4]);
    expect(relative(await gradientBy(cut, single), await gradientBy(many, single))).toBeLessThan(1e-11);
  });
});

describe("the error of the implicit gradient", () => {
  it("is proportional to the tolerance of the backward solve, over nine decades", async () => {
    const theta = rnnData(5n, { recurrent: 0.6, local: 0.35 });
    const exact = await gradientBy(many, theta);
    for (const tol of [1e-2, 1e-3, 1e-5, 1e-7, 1e-9, 1e-11]) {
      const error = relative(await gradientBy(implicit({ tol, maxSteps: 400 }), theta), exact);
      expect(error).toBeLessThan((20 * tol) / (1 - 0.95) + 1e-13);
    }
    expect(relative(await gradientBy(implicit({ tol: 1e-2 }), theta), exact)).toBeGreaterThan(1e-4);
  });
});

describe("differentiating twice", () => {
  const theta = rnnData(6n, { recurrent: 0.5, local: 0.3 }, [1, 3, 3]);
  const curvature = (adjoint: Adjoint) => (t: RnnTheta) =>
    hvp((s: RnnTheta) => loss(fixedPoint(rnn, s.x.zerosLike(), s, choiceFor(adjoint)).y), t, t);

  it("works through unrolled, as the derivative of the gradient", async () => {
    const product = (await device.get(await device.run(curvature(unrolled({ steps: 60 })), theta))) as Gradients;
    const h = 1e-5;
    const scaled = (factor: number): Gradients =>
      treeMap<Gradients, HostTensor, HostTensor>((leaf) => scale(leaf, factor), theta);
    const [up, down] = [await gradientBy(many, scaled(1 + h)), await gradientBy(many, scaled(1 - h))];
    const difference = treeMap<Gradients, HostTensor, HostTensor>(
      (a, _path, [b]) => scale(a, 1 / (2 * h), b),
      up,
      down,
    );
    expect(relative(product, difference)).toBeLessThan(1e-8);
  });

  it("is refused through implicit, whose loops are not differentiable, instead of leaving terms out", async () => {
    for (const adjoint of [exactly, throughEach]) {
      await expect(device.run(curvature(adjoint), theta)).rejects.toThrow(NotDifferentiableError);
    }
  });
});

/** (loss(theta + h d) - loss(theta - h d)) / 2h, extrapolated from two h: the error falls as h^4. */
async function differences(theta: Gradients, direction: Gradients): Promise<number> {
  const value = async (h: number): Promise<number> => {
    const moved = treeMap<Gradients, HostTensor, HostTensor>((leaf, _path, [d]) => plus(leaf, d!, h), theta, direction);
    const run = (t: RnnTheta): Tracer =>
      loss(fixedPoint(rnn, t.x.zerosLike(), t, { solver: sequential({ tol: 1e-14, maxSteps: 300 }) }).y);
    return (await device.get(await device.run(run, moved))).item();
  };
  const central = async (h: number): Promise<number> => ((await value(h)) - (await value(-h))) / (2 * h);
  const [coarse, fine] = [await central(2e-4), await central(1e-4)];
  return (4 * fine - coarse) / 3;
}

function plus(a: HostTensor, b: HostTensor, factor: number): HostTensor {
  const sum = random.normal(random.key(0), a.shape, { dtype: "float64" });
  for (let i = 0; i < a.data.length; i++) sum.data[i] = a.data[i]! + factor * b.data[i]!;
  return sum;
}

/** factor (a - b). */
function scale(a: HostTensor, factor: number, b?: HostTensor): HostTensor {
  const result = random.normal(random.key(0), a.shape, { dtype: "float64" });
  for (let i = 0; i < a.data.length; i++) result.data[i] = factor * (a.data[i]! - (b?.data[i] ?? 0));
  return result;
}

const flat = (tree: Gradients): number[] =>
  treeLeaves<HostTensor>({ ...tree }).flatMap(({ leaf }) => Array.from(leaf.data));
const inner = (a: Gradients, b: Gradients): number => {
  const other = flat(b);
  return flat(a).reduce((sum, x, i) => sum + x * other[i]!, 0);
};
const norm = (a: Gradients): number => Math.sqrt(inner(a, a));
