/** Contractions against a plain loop in float64, over sizes, strides, several axes and all the ways they are computed. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Planner } from "../../src/contract/index.ts";
import { contractionOf } from "../../src/contract/contraction.ts";
import { packingOf, planOf, tilePlan } from "../../src/contract/plan.ts";
import { probeFeatures } from "../../src/wasm/index.ts";
import type { Layout, Problem, Running, RunOptions, Values } from "./support.ts";
import { compile, kernelOf, matrices } from "./support.ts";

const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);

/** Flat offsets of all points of some axes, in row-major order. */
function offsets(sizes: readonly number[], strides: readonly number[]): number[] {
  return sizes.reduce<number[]>(
    (all, size, axis) => all.flatMap((at) => Array.from({ length: size }, (_, i) => at + i * (strides[axis] ?? 0))),
    [0],
  );
}

interface Expected {
  readonly sums: Float64Array;
  /** Sums of the terms' absolute values. */
  readonly sizes: Float64Array;
}

/** The plain loop; for integers, add and multiply have to wrap. */
function expected(p: Problem, left: Values, right: Values): Expected {
  const points = [...p.batch, ...p.m, ...p.n];
  const split = (layout: Layout) => [
    offsets(points, layout.strides.slice(0, points.length)),
    offsets(p.k, layout.strides.slice(points.length)),
  ];
  const [leftPoints = [], leftK = []] = split(p.left);
  const [rightPoints = [], rightK = []] = split(p.right);
  const sums = new Float64Array(leftPoints.length);
  const sizes = new Float64Array(leftPoints.length);
  sums.forEach((_, point) => {
    let sum = 0;
    let size = 0;
    leftK.forEach((at, k) => {
      const a = left[p.left.offset + (leftPoints[point] ?? 0) + at] ?? NaN;
      const b = right[p.right.offset + (rightPoints[point] ?? 0) + (rightK[k] ?? 0)] ?? NaN;
      if (p.dtype === "float32") {
        sum += a * b;
        size += Math.abs(a * b);
      } else {
        sum = (sum + Math.imul(a, b)) | 0;
      }
    });
    sums[point] = sum;
    sizes[point] = size;
  });
  return { sums, sizes };
}

function fill(values: Values, seed: number): void {
  let state = seed >>> 0;
  for (let i = 0; i < values.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    values[i] = values instanceof Float32Array ? state / 2 ** 31 - 1 : state | 0;
  }
}

/** Runs a problem, each result of which has to be stored once. */
function run(problem: Problem, options: RunOptions): Running {
  const running = compile(problem, options, true);
  fill(running.left, 1);
  fill(running.right, 2);
  running.out.fill(77);
  running.run();
  expect(running.stored.every((times) => times === 1)).toBe(true);
  return running;
}

/** Runs a problem and compares every result. */
function check(problem: Problem, options: RunOptions = {}): Running {
  const running = run(problem, options);
  const { sums, sizes } = expected(problem, running.left, running.right);
  const k = product(problem.k);
  const gamma = (k * 2 ** -24) / (1 - k * 2 ** -24);
  for (const [i, sum] of sums.entries()) {
    const result = running.out[i] ?? NaN;
    if (problem.dtype !== "float32") {
      if ((result | 0) !== sum) expect.fail(`result ${i} is ${result}, not ${sum}`);
    } else if (!(Math.abs(result - sum) <= gamma * (sizes[i] ?? 0) + 1e-45)) {
      expect.fail(`result ${i} of ${JSON.stringify(problem)} is ${result}, not ${sum}`);
    }
  }
  return running;
}

/** An operand's memory: its axes in some order, some of them left out (stride 0), reversed, or with gaps. */
function layoutOf(sizes: readonly number[], has: (axis: number) => boolean, seed: number): Layout {
  let state = seed;
  const random = (below: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return (state >> 8) % below;
  };
  const order = sizes.map((_, axis) => axis).filter(has);
  if (random(3) === 0) order.sort(() => random(3) - 1);
  else if (random(2) === 0) order.reverse();
  const strides = sizes.map(() => 0);
  let stride = random(8) === 0 ? 2 : 1;
  let offset = random(3);
  for (const axis of order.reverse()) {
    if (random(10) === 0) continue;
    const size = sizes[axis] ?? 1;
    const back = random(12) === 0 && size > 0;
    strides[axis] = back ? -stride : stride;
    if (back) offset += stride * (size - 1);
    stride *= Math.max(1, size) + (random(6) === 0 ? random(3) : 0);
  }
  return { offset, strides, size: offset + stride + 1 };
}

function problemOf(
  [batch, m, n, k]: readonly [number[], number[], number[], number[]],
  dtype: Problem["dtype"],
  seed: number,
): Problem {
  const sizes = [...batch, ...m, ...n, ...k];
  const isN = (axis: number) => axis >= batch.length + m.length && axis < sizes.length - k.length;
  const isM = (axis: number) => axis >= batch.length && axis < batch.length + m.length;
  const left = layoutOf(sizes, (axis) => !isN(axis), seed);
  const right = layoutOf(sizes, (axis) => !isM(axis), seed + 1);
  return { dtype, batch, m, n, k, left, right };
}

const axes = (max: number) => fc.array(fc.integer({ min: 0, max }), { maxLength: 2 });
const groups = fc.tuple(
  fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 2 }),
  fc.oneof(fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 1 }), axes(9)),
  fc.oneof(fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 1 }), axes(9)),
  fc.oneof(fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 1 }), axes(9)),
);

/** Blocks small enough that a small problem has several of each kind. */
const smallBlocks: Planner = (c, { vectors }) => {
  const plan = tilePlan(c, { left: true, right: true }, !vectors);
  const block = { m: 3 * plan.tile.rows, n: 8 * plan.tile.vectors, k: 8 };
  return { ...plan, block, panel: plan.panel || c.k > block.k };
};

/** Packs, in small blocks of k, only what cannot be read in place. */
const leastPacking: Planner = (c, { vectors }) => {
  const { left, right } = packingOf({ ...c, m: 1, n: Math.min(c.n, 8) });
  const plan = tilePlan(c, { left, right }, !vectors);
  const k = Math.max(1, Math.min(c.k, 12));
  return { ...plan, block: { ...plan.block, k }, panel: plan.panel || c.k > k };
};

describe("a contraction is within the error bound of a plain loop", () => {
  const cases: Record<string, RunOptions> = {
    "as planned": {},
    "in small packed blocks": { planner: smallBlocks },
    "mostly unpacked": { planner: leastPacking },
    "with a costly epilogue": { epilogueCost: 20 },
  };
  if (probeFeatures().relaxedSimd) cases["with fused multiply-add"] = { relaxed: true };
  it.each(Object.keys(cases))("%s, for any axes and strides", (name) => {
    fc.assert(
      fc.property(groups, fc.integer({ min: 0, max: 1 << 20 }), (sizes, seed) => {
        check(problemOf(sizes, "float32", seed), cases[name]);
      }),
      { numRuns: 80, seed: 3 },
    );
  });

  it("for matrices of sizes around those of tiles and blocks, in every layout", () => {
    for (const layout of ["AB", "ATB", "ABT"] as const) {
      for (const size of [
        [129, 514, 258],
        [64, 64, 64],
        [31, 300, 257],
        [1, 300, 70],
        [70, 300, 1],
        [1, 1000, 1],
        [2, 40, 45],
        [3, 5, 300],
        [9, 70, 3],
        [300, 33, 2],
        [5, 1030, 9],
      ] as const) {
        check(matrices(size, { layout }));
      }
    }
  });

  it("for batches, shared operands among them", () => {
    for (const layout of ["AB", "ATB", "ABT"] as const) check(matrices([16, 16, 16], { batch: 5, layout }));
    const shared = matrices([3, 17, 12], { batch: 7 });
    const { strides } = shared.right;
    check({ ...shared, right: { ...shared.right, strides: [0, ...strides.slice(1)] } });
  });
});

describe("threads that share a contraction get the bits that one gets", () => {
  const bitsOf = ({ out }: Running): Uint32Array => new Uint32Array(out.buffer, out.byteOffset, out.length);

  /** Whether it was shared, for 2, 3 and 5 threads. */
  function checkShares(problem: Problem, options: RunOptions = {}): boolean[] {
    const one = bitsOf(check(problem, options));
    return [2, 3, 5].map((threads) => {
      const running = run(problem, { ...options, threads });
      const at = bitsOf(running).findIndex((bits, i) => bits !== one[i]);
      if (at >= 0) expect.fail(`result ${at} of ${JSON.stringify(problem)} differs for ${threads} threads`);
      return running.shared;
    });
  }

  const layouts = ["AB", "ATB", "ABT", "ATBT"] as const;
  const blocks: [string, Problem][] = (
    [
      [261, 1030, 100],
      [70, 515, 530],
      [131, 600, 259],
      [130, 520, 33],
    ] as const
  ).flatMap((size) =>
    layouts.map((layout): [string, Problem] => [`${size.join("x")} ${layout}`, matrices(size, { layout })]),
  );
  it.each(blocks)("across packed blocks: %s", (_, problem) => {
    const plan = planOf(contractionOf(kernelOf(problem)), { vectors: true, epilogueCost: 0 });
    expect(plan).toMatchObject({ kind: "tiles", pack: { left: problem.right.size > 33 * 520, right: true } });
    expect(checkShares(problem)).toEqual([true, true, true]);
  });

  it.each(layouts)("where a tile is all of m or n, and for dot products: %s", (layout) => {
    for (const size of [
      [1, 300, 170],
      [170, 300, 1],
      [2, 40, 85],
      [3, 5, 300],
      [5, 300, 203],
      [203, 70, 3],
      [90, 33, 2],
    ] as const) {
      expect(checkShares(matrices(size, { layout }))).toEqual([true, true, true]);
    }
  });

  it.each(layouts)("for few batches: %s", (layout) => {
    expect(checkShares(matrices([16, 16, 16], { batch: 5, layout }))).toEqual([true, true, true]);
    expect(checkShares(matrices([37, 300, 50], { batch: 3, layout }))).toEqual([true, true, true]);
    expect(checkShares(matrices([4, 9, 8], { batch: 11, layout }))).toEqual([true, true, true]);
    expect(checkShares(matrices([4, 9, 8], { batch: 3, layout }))).toEqual([true, true, false]);
  });

  it.each<[string, RunOptions, Problem["dtype"]]>([
    ["as planned", {}, "float32"],
    ["in small packed blocks", { planner: smallBlocks }, "float32"],
    ["as integers", {}, "int32"],
  ])("%s, for any axes and strides", (_, options, dtype) => {
    let shared = 0;
    fc.assert(
      fc.property(groups, fc.integer({ min: 0, max: 1 << 20 }), (sizes, seed) => {
        if (checkShares(problemOf(sizes, dtype, seed), options).includes(true)) shared++;
      }),
      { numRuns: 60, seed: 5 },
    );
    expect(shared).toBeGreaterThan(15);
  });
});

describe("special cases", () => {
  it.each(["int32", "uint32"] as const)("%s wraps", (dtype) => {
    fc.assert(
      fc.property(groups, fc.integer({ min: 0, max: 1 << 20 }), (sizes, seed) => {
        check(problemOf(sizes, dtype, seed));
      }),
      { numRuns: 40, seed: 4 },
    );
  });

  it("an empty sum is 0, and without results nothing is stored", () => {
    for (const layout of ["AB", "ATB", "ABT"] as const) {
      check(matrices([9, 0, 13], { layout }));
      check(matrices([0, 4, 3], { layout }));
      check(matrices([4, 3, 0], { layout }));
      check(matrices([40, 3, 40], { batch: 0, layout }));
    }
  });

  it("NaN and infinities reach exactly the results that they are part of", () => {
    for (const layout of ["AB", "ATB", "ABT"] as const) {
      for (const size of [
        [37, 35, 43],
        [1, 35, 43],
        [5, 35, 1],
        [3, 300, 18],
      ] as const) {
        const running = compile(matrices(size, { layout }));
        const [m, k, n] = size;
        running.left.fill(1);
        running.right.fill(1);
        // Row 0 of the left operand has a NaN, its last row an infinity.
        running.left[layout === "ATB" ? 2 * m : 2] = NaN;
        if (m > 1) running.left[m * k - 1] = -Infinity;
        running.run();
        for (let i = 0; i < m * n; i++) {
          const row = Math.floor(i / n);
          expect(running.out[i]).toBe(row === 0 ? NaN : row === m - 1 ? -Infinity : k);
        }
      }
    }
  });

  it("equal runs give equal bits", () => {
    const running = compile(matrices([65, 300, 67]));
    fill(running.left, 5);
    fill(running.right, 6);
    running.run();
    const first = running.out.slice();
    running.run();
    expect(running.out).toEqual(first);
  });

  it("other dtypes are refused", () => {
    const problem = { ...matrices([2, 2, 2]), dtype: "bool" } as unknown as Problem;
    expect(() => compile(problem)).toThrow(/bool/);
  });
});
