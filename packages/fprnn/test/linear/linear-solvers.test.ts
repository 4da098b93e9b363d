import { type HostTensor, random, type Tracer } from "@banach/autograd";
import { reference } from "@banach/autograd/reference";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { gmres, iteration, type LinearSolver } from "../../src/index.ts";

const device = await reference();

interface System {
  readonly rows: number;
  readonly n: number;
  readonly seed: number;
  readonly dtype: "float64" | "float32";
}

const system = fc.record({
  rows: fc.integer({ min: 1, max: 4 }),
  n: fc.integer({ min: 1, max: 9 }),
  seed: fc.nat({ max: 1 << 20 }),
  dtype: fc.constantFrom("float64" as const, "float32" as const),
});

/** I + size * M with M of random numbers of size 1 / n, a matrix per row. */
function matrices({ rows, n, seed, dtype }: System, size: number): HostTensor {
  const m = random.uniform(random.key(seed), [rows, n, n], { low: -size / n, high: size / n, dtype });
  for (let r = 0; r < rows; r++) for (let i = 0; i < n; i++) m.data[(r * n + i) * n + i]! += 1;
  return m;
}

const rightSides = ({ rows, n, seed, dtype }: System): HostTensor =>
  random.normal(random.key(seed + 1), [rows, n], { dtype });

const product = (a: Tracer, x: Tracer): Tracer => a.dotGeneral(x, { contracting: [[2], [1]], batch: [[0], [0]] });

async function solved(solver: LinearSolver, a: HostTensor, b: HostTensor) {
  const run = (matrix: Tracer, right: Tracer) => {
    const { x, iterations } = solver.solve((v) => product(matrix, v), right);
    return { x, iterations, rest: right.sub(product(matrix, x)) };
  };
  return device.get(await device.run(run, a, b));
}

const norms = (x: HostTensor): number[] => {
  const [rows = 0, n = 0] = x.shape;
  return Array.from({ length: rows }, (_, r) => Math.hypot(...x.data.slice(r * n, (r + 1) * n)));
};

const residuals = (rest: HostTensor, b: HostTensor): number[] => {
  const sizes = norms(b);
  return norms(rest).map((norm, r) => norm / sizes[r]!);
};

describe("gmres", () => {
  it("solves any system of n unknowns in n steps", async () => {
    await fc.assert(
      fc.asyncProperty(system, async (s) => {
        // Far from a contraction, and not close to singular either.
        const a = matrices({ ...s, n: s.n }, 1.9);
        for (let i = 0; i < a.data.length; i++) a.data[i]! *= i % 2 === 0 ? 3 : -3;
        const b = rightSides(s);
        const direct = denseSolve(a, b);
        fc.pre(Math.max(...norms(direct)) < 1e2);
        const { rest } = await solved(gmres({ tol: 0, maxSteps: s.n, restart: s.n }), a, b);
        const most = s.dtype === "float64" ? 1e-11 : 1e-3;
        for (const residual of residuals(rest, b)) expect(residual).toBeLessThan(most);
      }),
      { numRuns: 60 },
    );
  });

  it("loses nothing when it is asked for more steps than there are unknowns", async () => {
    for (const dtype of ["float64", "float32"] as const) {
      const s: System = { rows: 4, n: 5, seed: 12, dtype };
      const [a, b] = [matrices(s, 0.9), rightSides(s)];
      const { rest } = await solved(gmres({ tol: 0, maxSteps: 40, restart: 40 }), a, b);
      expect(Math.max(...residuals(rest, b))).toBeLessThan(dtype === "float64" ? 1e-14 : 2e-6);
    }
  });

  it("is exact after r + 1 steps where the matrix differs from the identity by rank r", async () => {
    const [n, r] = [12, 3];
    const [u, v] = [2, 3].map((seed) => random.normal(random.key(seed), [2, r, n], { dtype: "float64" }));
    const a = random.normal(random.key(1), [2, n, n], { dtype: "float64" });
    for (let row = 0; row < 2; row++)
      for (let i = 0; i < n; i++)
        for (let j = 0; j < n; j++) {
          let entry = i === j ? 1 : 0;
          for (let k = 0; k < r; k++) entry -= u!.data[(row * r + k) * n + i]! * v!.data[(row * r + k) * n + j]!;
          a.data[(row * n + i) * n + j] = entry;
        }
    const b = random.normal(random.key(4), [2, n], { dtype: "float64" });
    const { rest, iterations } = await solved(gmres({ tol: 1e-12, maxSteps: 50, restart: 12 }), a, b);
    expect(Math.max(...residuals(rest, b))).toBeLessThan(1e-11);
    expect(Array.from(iterations.data)).toEqual([r + 1, r + 1]);
  });

  it("begins anew when its vectors are full, and counts all of its steps", async () => {
    const s: System = { rows: 3, n: 9, seed: 5, dtype: "float64" };
    const [a, b] = [matrices(s, 2.5), rightSides(s)];
    const { rest, iterations } = await solved(gmres({ tol: 1e-11, maxSteps: 200, restart: 3 }), a, b);
    expect(Math.max(...residuals(rest, b))).toBeLessThan(1.1e-11);
    for (const steps of iterations.data) expect(steps).toBeGreaterThan(9);
    const short = await solved(gmres({ tol: 1e-11, maxSteps: 7, restart: 3 }), a, b);
    expect(Array.from(short.iterations.data)).toEqual([7, 7, 7]);
  });

  describe("in float32, close to singular", () => {
    /** I - r u u^T / |u|^2, r close to 1, and a random matrix besides: solutions much longer than b. */
    const close = (seed: number, toOne: number): HostTensor => {
      const [rows, n] = [8, 24];
      const a = matrices({ rows, n, seed, dtype: "float32" }, 3);
      const u = random.normal(random.key(seed + 1), [rows, n]);
      const sizes = norms(u);
      for (let row = 0; row < rows; row++)
        for (let i = 0; i < n; i++)
          for (let j = 0; j < n; j++) {
            const [x, y] = [i, j].map((at) => u.data[row * n + at]! / sizes[row]!);
            a.data[(row * n + i) * n + j]! -= toOne * x! * y!;
          }
      return a;
    };

    it("gets as near as rounding allows by the true residual, and not only by its own account", async () => {
      for (const seed of [1, 20, 300, 4000]) {
        const a = close(seed, 1.01);
        const b = random.normal(random.key(seed + 9), [8, 24]);
        const { x, rest } = await solved(gmres({ tol: 2e-6, maxSteps: 60, restart: 60 }), a, b);
        const gains = residuals(x, b);
        residuals(rest, b).forEach((residual, row) => {
          expect(residual).toBeLessThan(Math.max(2e-6, 2 ** -23 * gains[row]!));
        });
      }
    });
  });

  it.each([0, -1, 2.5])("refuses to restart after %s", (restart) => {
    expect(() => gmres({ restart })).toThrow(/gmres: restart must be a positive integer/);
  });
});

describe("iteration", () => {
  it("is as near as asked, on contractions", async () => {
    await fc.assert(
      fc.asyncProperty(system, async (s) => {
        const [a, b] = [matrices(s, 0.8), rightSides(s)];
        const tol = s.dtype === "float64" ? 1e-12 : 1e-5;
        const { rest } = await solved(iteration({ tol, maxSteps: 300 }), a, b);
        for (const residual of residuals(rest, b)) expect(residual).toBeLessThan(1.1 * tol);
      }),
      { numRuns: 40 },
    );
  });

  it("stops a row that runs away, and leaves the others alone", async () => {
    const s: System = { rows: 2, n: 3, seed: 9, dtype: "float32" };
    const [a, b] = [matrices(s, 0.5), rightSides(s)];
    for (let i = 0; i < 9; i++) a.data[i]! *= 40;
    const { rest, iterations } = await solved(iteration({ tol: 1e-5, maxSteps: 500 }), a, b);
    const [lost, found] = residuals(rest, b);
    expect(lost).toBeGreaterThan(1e6);
    expect(iterations.data[0]).toBeLessThan(20);
    expect(found).toBeLessThan(1.1e-5);
  });
});

describe.each([
  ["gmres", gmres({ tol: 1e-8 })],
  ["gmres that restarts", gmres({ tol: 1e-8, restart: 2, maxSteps: 40 })],
  ["iteration", iteration({ tol: 1e-8 })],
])("%s", (_, solver) => {
  const s: System = { rows: 3, n: 4, seed: 3, dtype: "float64" };

  it("solves a row of zeros by zeros", async () => {
    const [a, b] = [matrices(s, 0.5), rightSides(s)];
    b.data.fill(0, 0, 4);
    const { x } = await solved(solver, a, b);
    expect(Array.from(x.data.slice(0, 4))).toEqual([0, 0, 0, 0]);
    expect(norms(x)[1]).toBeGreaterThan(0);
  });

  it("gives NaN for a row with a NaN, and no other row notices", async () => {
    const [a, b] = [matrices(s, 0.5), rightSides(s)];
    const clean = await solved(solver, a, b);
    b.data[5] = Number.NaN;
    const { x } = await solved(solver, a, b);
    expect(norms(x).map(Number.isFinite)).toEqual([true, false, true]);
    expect(Array.from(x.data.slice(8))).toEqual(Array.from(clean.x.data.slice(8)));
  });

  it("takes other tolerances, and refuses impossible ones", () => {
    expect(solver.with({ tol: 0.5 })).toMatchObject({ tol: 0.5, maxSteps: solver.maxSteps, name: solver.name });
    expect(() => solver.with({ tol: -1 })).toThrow(/tol must be at least 0/);
    expect(() => solver.with({ maxSteps: 0 })).toThrow(/maxSteps must be a positive integer/);
  });
});

/** Gaussian elimination with pivoting, row by row. */
function denseSolve(a: HostTensor, b: HostTensor): HostTensor {
  const [rows = 0, n = 0] = b.shape;
  const x = random.normal(random.key(0), [rows, n], { dtype: "float64" });
  for (let r = 0; r < rows; r++) {
    const m = Array.from({ length: n }, (_, i) => [
      ...Array.from(a.data.slice((r * n + i) * n, (r * n + i + 1) * n)),
      b.data[r * n + i]!,
    ]);
    for (let k = 0; k < n; k++) {
      const pivot = m.slice(k).reduce((best, row, i) => (Math.abs(row[k]!) > Math.abs(m[best]![k]!) ? k + i : best), k);
      [m[k], m[pivot]] = [m[pivot]!, m[k]!];
      for (let i = 0; i < n; i++) {
        if (i === k) continue;
        const factor = m[i]![k]! / m[k]![k]!;
        for (let j = k; j <= n; j++) m[i]![j]! -= factor * m[k]![j]!;
      }
    }
    for (let k = 0; k < n; k++) x.data[r * n + k] = m[k]![n]! / m[k]![k]!;
  }
  return x;
}
