import { array, grad, type HostTensor, key, makeGraph, optimize, random, type Tracer } from "@banach/autograd";
import { reference } from "@banach/autograd/reference";
import { wasm } from "@banach/backend-wasm";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { chunkedScan } from "../../src/index.ts";
import { readStates, scanStates } from "../../src/layers/selective-scan.ts";
import { repeatChannels } from "../../src/layers/ssd.ts";
import { distance } from "../problems.ts";

const device = await reference();

interface Sizes {
  readonly batch: number;
  readonly time: number;
  readonly heads: number;
  readonly headDim: number;
  readonly state: number;
}

type Inputs<T> = Readonly<Record<"u" | "dt" | "a" | "b" | "c", T>> & { readonly initial?: T };

interface Scanned<T> {
  readonly out: T;
  readonly last: T;
}

function inputsOf(seed: number, sizes: Sizes, initial: boolean, dtype: "float64" | "float32" = "float64") {
  const { batch, time, heads, headDim, state } = sizes;
  const [u, dt, a, b, c, h] = random.split(key(seed), 6);
  const channels = heads * headDim;
  return {
    u: random.normal(u!, [batch, time, channels], { dtype }),
    dt: random.uniform(dt!, [batch, time, heads], { low: 0.01, high: 1, dtype }),
    a: random.uniform(a!, [heads], { low: -4, high: -0.1, dtype }),
    b: random.normal(b!, [batch, time, state], { dtype }),
    c: random.normal(c!, [batch, time, state], { dtype }),
    ...(initial ? { initial: random.normal(h!, [batch, state, channels], { dtype }) } : {}),
  } satisfies Inputs<HostTensor>;
}

/** One step after the other, in plain loops. */
function looped(inputs: Inputs<HostTensor>, { batch, time, heads, headDim, state }: Sizes): Scanned<number[]> {
  const { u, dt, a, b, c, initial } = inputs;
  const channels = heads * headDim;
  const h = Array.from(initial?.data ?? new Float64Array(batch * state * channels));
  const out: number[] = [];
  for (let row = 0; row < batch; row++) {
    for (let t = 0; t < time; t++) {
      const at = row * time + t;
      for (let d = 0; d < channels; d++) {
        const head = Math.floor(d / headDim);
        const step = dt.data[at * heads + head]!;
        let sum = 0;
        for (let n = 0; n < state; n++) {
          const i = (row * state + n) * channels + d;
          h[i] = Math.exp(step * a.data[head]!) * h[i]! + step * u.data[at * channels + d]! * b.data[at * state + n]!;
          sum += h[i] * c.data[at * state + n]!;
        }
        out.push(sum);
      }
    }
  }
  return { out, last: h };
}

/** The scan of FP-Mamba, with the same decay for every channel of a head and every state. */
function plain(inputs: Inputs<Tracer>): Scanned<Tracer> {
  const headDim = inputs.u.dim(2) / inputs.dt.dim(2);
  const a = repeatChannels(inputs.a, headDim).expandDims(0);
  const states = scanStates({
    ...inputs,
    dt: repeatChannels(inputs.dt, headDim),
    a: a.broadcastTo([inputs.b.dim(2), a.dim(1)]),
  });
  return { out: readStates(states, inputs.c), last: states.index(1, -1) };
}

const chunkedBy =
  (chunk: number) =>
  (inputs: Inputs<Tracer>): Scanned<Tracer> =>
    chunkedScan({ ...inputs, chunk });

const relative = (found: ArrayLike<number>, wanted: ArrayLike<number>): number => {
  const size = Math.max(1, ...Array.from(wanted, Math.abs));
  return Math.max(0, ...Array.from(found, (value, i) => Math.abs(value - wanted[i]!))) / size;
};

const sizes = fc.record({
  batch: fc.integer({ min: 1, max: 2 }),
  time: fc.integer({ min: 1, max: 20 }),
  heads: fc.integer({ min: 1, max: 3 }),
  headDim: fc.integer({ min: 1, max: 3 }),
  state: fc.integer({ min: 1, max: 4 }),
});

describe("chunkedScan", () => {
  it("is the recurrence, for any length, chunk and start", async () => {
    const property = fc.asyncProperty(
      sizes,
      fc.integer({ min: 1, max: 25 }),
      fc.boolean(),
      fc.nat(1000),
      async (shape, chunk, initial, seed) => {
        const inputs = inputsOf(seed, shape, initial);
        const found = await device.get(await device.run(chunkedBy(chunk), inputs));
        const wanted = looped(inputs, shape);
        expect(relative(found.out.data, wanted.out)).toBeLessThan(1e-12);
        expect(relative(found.last.data, wanted.last)).toBeLessThan(1e-12);
      },
    );
    await fc.assert(property, { numRuns: 60 });
  });

  it("has the gradients of the recurrence, of every input, for any length and chunk", async () => {
    const loss =
      (scan: (inputs: Inputs<Tracer>) => Scanned<Tracer>) =>
      (inputs: Inputs<Tracer>): Tracer => {
        const { out, last } = scan(inputs);
        return out.sin().sum().add(last.cos().sum());
      };
    const property = fc.asyncProperty(
      sizes,
      fc.integer({ min: 1, max: 25 }),
      fc.boolean(),
      fc.nat(1000),
      async (shape, chunk, initial, seed) => {
        const inputs: Inputs<HostTensor> = inputsOf(seed, shape, initial);
        const gradient = async (scan: typeof plain): Promise<Inputs<HostTensor>> =>
          device.get(await device.run(grad(loss(scan)), inputs));
        const [found, wanted] = [await gradient(chunkedBy(chunk)), await gradient(plain)];
        for (const name of ["u", "dt", "a", "b", "c", ...(initial ? (["initial"] as const) : [])] as const) {
          expect(relative(found[name]!.data, wanted[name]!.data), name).toBeLessThan(1e-12);
        }
      },
    );
    await fc.assert(property, { numRuns: 30 });
  });

  it("loses no digits where decays are strong, and gives no NaN where they are 0", async () => {
    const shape = { batch: 1, time: 64, heads: 2, headDim: 1, state: 2 };
    const inputs = inputsOf(3, shape, true);
    // The first steps forget almost all, so that sums of A dt are large where the later steps differ little.
    inputs.dt.data.fill(50, 0, 40);
    inputs.dt.data.fill(1e-6, 80);
    inputs.dt.data.fill(1000, 60, 64);
    const found = await device.get(await device.run(chunkedBy(64), inputs));
    expect(relative(found.out.data, looped(inputs, shape).out)).toBeLessThan(1e-15);
    const gradient = await device.get(
      await device.run(
        grad((given: Inputs<Tracer>) => chunkedBy(64)(given).out.sum()),
        inputs,
      ),
    );
    for (const leaf of Object.values(gradient)) expect(leaf.data.every(Number.isFinite)).toBe(true);
  });

  it("is the same on WASM in float32", async () => {
    await using place = await wasm();
    const shape = { batch: 2, time: 37, heads: 3, headDim: 4, state: 5 };
    const inputs = inputsOf(5, shape, true, "float32");
    const wide = inputsOf(5, shape, true);
    for (const name of ["u", "dt", "a", "b", "c", "initial"] as const) wide[name]!.data.set(inputs[name]!.data);
    const found = await place.get(await place.run(chunkedBy(8), inputs));
    expect(relative(found.out.data, looped(wide, shape).out)).toBeLessThan(2e-6);
    expect(relative(found.last.data, looped(wide, shape).last)).toBeLessThan(2e-6);
  });

  it("makes no array over time and states", () => {
    const inputs = inputsOf(1, { batch: 2, time: 64, heads: 2, headDim: 8, state: 16 }, false);
    const { equations } = optimize(makeGraph((given: Inputs<Tracer>) => chunkedBy(8)(given).out, inputs));
    const largest = Math.max(
      ...equations.flatMap(({ outputs }) => outputs.map(({ type }) => type.shape.reduce((x, y) => x * y, 1))),
    );
    expect(largest).toBeLessThan(2 * 64 * 16 * 16);
  });

  it("gives pieces of a sequence what it gives the whole, going on from the last state", async () => {
    const shape = { batch: 2, time: 11, heads: 2, headDim: 2, state: 3 };
    const inputs = inputsOf(4, shape, false);
    const part = (given: Inputs<Tracer>, from: number, to: number): Inputs<Tracer> => {
      const cut = (x: Tracer): Tracer => x.sliceAxis(1, from, to);
      return { u: cut(given.u), dt: cut(given.dt), a: given.a, b: cut(given.b), c: cut(given.c) };
    };
    const pieces = (given: Inputs<Tracer>): Scanned<Tracer> => {
      const { last } = chunkedBy(3)(part(given, 0, 7));
      return chunkedBy(3)({ ...part(given, 7, 11), initial: last });
    };
    const [whole, rest] = [
      await device.get(await device.run(chunkedBy(4), inputs)),
      await device.get(await device.run(pieces, inputs)),
    ];
    expect(distance(whole.last, rest.last)).toBeLessThan(1e-13);
  });

  it.each([
    [0, /chunkedScan: chunk must be a positive integer, got 0/],
    [2.5, /chunkedScan: chunk must be a positive integer, got 2.5/],
  ])("refuses a chunk of %s", async (chunk, message) => {
    const inputs = inputsOf(1, { batch: 1, time: 2, heads: 1, headDim: 1, state: 1 }, false);
    await expect(device.run(chunkedBy(chunk), inputs)).rejects.toThrow(message);
  });

  it("refuses channels that the heads do not divide", async () => {
    const inputs = inputsOf(1, { batch: 1, time: 2, heads: 2, headDim: 2, state: 1 }, false);
    const u = array(new Float64Array(6), { shape: [1, 2, 3] });
    await expect(device.run(chunkedBy(2), { ...inputs, u })).rejects.toThrow(
      /3 channels are not a multiple of 2 heads/,
    );
  });
});
