import { array, Device, exp, key, linearRecurrence, random, type Tracer } from "@banach/autograd";
import { verify } from "@banach/autograd/backend";
import { evaluateGraph, reference } from "@banach/autograd/reference";
import { gamma, randomGraph } from "@banach/autograd/testing";
import fc from "fast-check";
import { expect, it } from "vitest";
import { interpret } from "./interpret.ts";
import { noisyBackend } from "./noise.ts";

it("interprets random programs, loops included, as the reference does", () => {
  fc.assert(
    fc.property(randomGraph({ smooth: false }), ({ graph, inputs }) => {
      verify(graph);
      expect(interpret(graph, inputs, () => undefined)).toEqual(evaluateGraph(graph, inputs));
    }),
    { numRuns: 200 },
  );
});

/** Values of f at x without noise, and with that of ten seeds. */
async function distances(f: (x: Tracer) => Tracer): Promise<{ exact: number[]; moved: number[][] }> {
  const x = random.normal(key(1), [4, 30]);
  const wide = array(Float64Array.from(x.data), { shape: x.shape });
  const run = async (device: Device): Promise<number[]> => Array.from((await (await device.run(f, wide)).read()).data);
  const exact = await run(await reference());
  const seeds = Array.from({ length: 10 }, (_, seed) => run(new Device(noisyBackend(seed + 1))));
  const moved = (await Promise.all(seeds)).map((noisy) => noisy.map((y, i) => y - exact[i]!));
  return { exact, moved };
}

it("moves a rounded result by half a unit in the last place, up or down", async () => {
  const { exact, moved } = await distances((x) => x.mul(x));
  for (const row of moved) row.forEach((d, i) => expect(Math.abs(d) / exact[i]!).toBeCloseTo(2 ** -24, 12));
  const ups = moved.flat().filter((d) => d > 0).length / moved.flat().length;
  expect(ups).toBeGreaterThan(0.4);
  expect(ups).toBeLessThan(0.6);
});

it("moves a sum by the bound of its roundings, and leaves alone what is exact", async () => {
  const { exact, moved } = await distances((x) => x.abs().neg().sum({ axes: 1 }));
  const bound = gamma(30) + 2 ** -23;
  for (const row of moved) row.forEach((d, i) => expect(Math.abs(d / exact[i]!)).toBeCloseTo(bound, 12));
  expect(
    (await distances((x) => x.neg().max({ axes: 1 }).floor().transpose())).moved.flat().every((d) => d === 0),
  ).toBe(true);
});

it("leaves what is not finite as it is", async () => {
  const { exact, moved } = await distances((x) => exp(linearRecurrence(x.mul(0).add(1e200), x.abs(), { axis: 1 })));
  expect(exact).toContain(Infinity);
  expect(exact.every((y, i) => Number.isFinite(y) || moved.every((row) => Number.isNaN(row[i])))).toBe(true);
});
